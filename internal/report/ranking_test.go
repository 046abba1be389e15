package report

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestManyRunsAreATable: of twelve runs, sorted by a column, each has a row, and the first
// eight are drawn.
func TestManyRunsAreATable(t *testing.T) {
	dir := t.TempDir()
	var dirs []string
	for i := range 12 {
		dirs = append(dirs, writeRun(t, filepath.Join(dir, fmt.Sprintf("run%02d", i)), 8+4*i, i%2 == 0))
	}
	var runs []*Run
	for _, d := range dirs {
		r, err := Open(d)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	if err := sortRuns(runs, "steps"); err != nil || runs[0].Name != "run11" || runs[11].Name != "run00" {
		t.Errorf("by steps: %s first, %s last (%v)", runs[0].Name, runs[11].Name, err)
	}
	if err := sortRuns(runs, "parameters"); err != nil || runs[0].Facts().After.Params > runs[11].Facts().After.Params {
		t.Errorf("by parameters: %d first (%v)", runs[0].Facts().After.Params, err)
	}
	runs[3].Steps, runs[3].Summary = runs[3].Steps[:1], nil // no evaluation
	late := runs[3].Name
	if err := sortRuns(runs, "loss"); err != nil || runs[11].Name != late {
		t.Errorf("the run without a validation loss is not the last (%v)", err)
	}
	if err := sortRuns(runs, "beauty"); err == nil || !strings.Contains(err.Error(), "expected one of loss, training-loss") {
		t.Errorf("an unknown column: %v", err)
	}
	p, err := New(runs, "1", Axes{})
	if err != nil || len(p.Ranking.Rows) != 12 || len(p.Runs) != 8 || p.Runs[0].Name != runs[0].Name {
		t.Fatalf("%d rows, %d drawn (%v)", len(p.Ranking.Rows), len(p.Runs), err)
	}
	var b strings.Builder
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.Contains(page, "The first 8 of the table are drawn.") || !strings.Contains(page, late) || strings.Contains(page, "<script>") || !strings.Contains(page, "What it wrote on the way") || !strings.Contains(page, "sample &lt;/pre&gt;") {
		t.Error("the page lacks the table or the samples, or a text breaks out of it")
	}
}
