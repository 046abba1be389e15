package cmd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir)...)
	dense := filepath.Join(t.TempDir(), "dense")
	mustRun(t, append(small(dense), "--dense")...)

	mustRun(t, "ecospa", "report", dir)
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Training loss", "Validation perplexity", "Memory by purpose", "Kept units", "Scores and events", "Before and after", "The model writes", "run.yaml"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	file, plots := filepath.Join(t.TempDir(), "both.html"), filepath.Join(t.TempDir(), "plots")
	out, _ := mustRun(t, "ecospa", "report", dir, dense, "--out", file, "--json", "--png", plots) // flags behind the runs
	var r ReportResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Out != file || len(r.Runs) != 2 || len(r.Runs[0].Events) != 4 || len(r.Runs[1].Events) != 0 || r.Runs[0].Before == nil || r.Runs[0].Steps != 40 {
		t.Errorf("report gives %+v", r)
	}
	if r.Runs[0].After.Params >= r.Runs[1].After.Params {
		t.Errorf("%d parameters pruned, %d dense", r.Runs[0].After.Params, r.Runs[1].After.Params)
	}
	if len(r.Plots) < 9 {
		t.Errorf("plots %v", r.Plots)
	}
	for _, name := range append(r.Plots, file) {
		if s, err := os.Stat(name); err != nil || s.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, args := range map[int][]string{
		exitUsage: {"report"}, exitBadInput: {"report", t.TempDir()},
	} {
		if code, _, _ := runCommand(t, context.Background(), append([]string{"ecospa"}, args...)...); code != want {
			t.Errorf("%v ends with %d, expected %d", args, code, want)
		}
	}
	if code, _, msg := runCommand(t, context.Background(), "ecospa", "report", dir, "--out", "x.pdf"); code != exitUsage || !strings.Contains(msg, ".html") {
		t.Errorf("--out x.pdf ends with %d: %s", code, msg)
	}
}
