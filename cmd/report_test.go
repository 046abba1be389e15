package cmd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/report"
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
	var r report.Written
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
	// Of several directories one that holds no run is left out; a page with a run that is
	// finished is written once, whatever --refresh says.
	cache := filepath.Join(t.TempDir(), "cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	_, log := mustRun(t, "ecospa", "report", dir, cache, "--out", file, "--refresh", "10")
	if !strings.Contains(log, cache+" holds no run and is left out") {
		t.Errorf("a directory without a run: %s", log)
	}
	if page, err := os.ReadFile(file); err != nil || strings.Contains(string(page), `http-equiv="refresh"`) || !strings.Contains(string(page), "ecospa generate --model "+dir) {
		t.Errorf("the page of a finished run is refreshed, or says nothing of what to type next: %v", err)
	}
}
