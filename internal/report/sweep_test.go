package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestASweepHasItsOwnAxis: runs of which only the learning rate and the seed differ are
// sorted by it, have a column of it, and a chart of the loss against it.
func TestASweepHasItsOwnAxis(t *testing.T) {
	dir := t.TempDir()
	o := Pages{Out: filepath.Join(dir, "sweep.html"), Note: func(string) {}}
	for i, lr := range []string{"0.003", "0.0003", "0.001", "0.001"} {
		run := writeRun(t, filepath.Join(dir, "run"+lr+string(rune('a'+i))), 8+4*i, false)
		text := "out: x\noptim: {lr: " + lr + "}\ntrain: {seed: " + string(rune('1'+i)) + "}\n"
		if err := os.WriteFile(filepath.Join(run, "run.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		o.Runs = append(o.Runs, run)
	}
	runs, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(runs, "test", Axes{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Ranking.Head[1] != "optim.lr" || p.Ranking.Rows[0].Cells[0] != "0.0003" || p.Ranking.Rows[3].Cells[0] != "0.003" {
		t.Errorf("the table: %v, %v ... %v", p.Ranking.Head, p.Ranking.Rows[0], p.Ranking.Rows[3])
	}
	if len(p.Sweep) != 1 {
		t.Fatal("no chart of the sweep")
	}
	c := p.Sweep[0]
	if c.X != "optim.lr" || !c.LogX || len(c.Curves[0].X) != 3 || c.Curves[0].Y[1] != (least(runs[1].Facts())+least(runs[2].Facts()))/2 {
		t.Errorf("the chart: %+v", c.Chart)
	}
	var b strings.Builder
	if err := p.WriteHTML(&b); err != nil || !strings.Contains(b.String(), "Least validation loss by optim.lr") {
		t.Errorf("the page lacks it: %v", err)
	}
	if _, ok := sweep(runs[:2]); ok {
		t.Error("two values are a sweep")
	}
	if err := os.WriteFile(filepath.Join(o.Runs[0], "run.yaml"), []byte("out: x\noptim: {lr: 0.003}\ntrain: {steps: 7}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if runs, err = o.open(); err != nil || runs[0].Dir != o.Runs[0] {
		t.Errorf("runs of which two keys differ are sorted: %s first (%v)", runs[0].Name, err)
	}
}
