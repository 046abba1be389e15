package cmd

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
)

// TestPruneVocabulary: the vocabulary alone, with a target and with recovery; the result
// is a model like any other, and its report is about bytes.
func TestPruneVocabulary(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("dense"), "prune.target=", "train.steps=30")...)
	if err := os.WriteFile(at("text.txt"), []byte(strings.Repeat("Anna was a small fox who lived by the river. Her best friend was Tom the bear.\n", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := func(out string, more ...string) []string {
		return append([]string{"ecospa", "prune", "--from", at("dense"), "--data", at("text.txt"), "--sequences", "12", "--out", at(out)}, more...)
	}
	for out, more := range map[string][]string{
		"alone": {"--vocab", "280"}, "used": {"--vocab-data", at("text.txt")},
		"target": {"--vocab", "280", "--target", "0.8x"}, "recovered": {"--vocab", "280", "--recover", "1k"},
	} {
		text, _ := mustRun(t, append(args(out, more...), "--json")...)
		var r prune.Report
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		v := r.Vocabulary
		if v == nil || v.IDsBefore != 300 || v.IDsAfter >= 300 || r.After.Params >= r.Before.Params || (len(r.Rows) > 0) != (out == "target") || r.MemoryAfter.Inference >= r.MemoryBefore.Inference {
			t.Fatalf("%s: %s", out, text)
		}
		if math.Abs(v.LossByteAfter-r.After.Loss*v.PerByteAfter) > 1e-9 || math.Abs(v.LossByteBefore-r.Before.Loss*v.PerByteBefore) > 1e-9 || v.PerByteAfter < v.PerByteBefore {
			t.Errorf("%s: %+v", out, v)
		}
		if out == "recovered" && r.Recovery == nil {
			t.Errorf("%s: nothing was recovered", out)
		}
		mustRun(t, "ecospa", "eval", "--model", at(out), "--data", at("text.txt"))
		mustRun(t, "ecospa", "export", "--model", at(out), "--format", "gguf", "--pad", "--out", at(out+".gguf"))
	}
	report, _ := mustRun(t, append(args("alone", "--vocab", "280"), "--force")...)
	for line := range strings.Lines(report) {
		if len(strings.TrimRight(line, "\n")) > 80 && !strings.Contains(line, " written in ") {
			t.Errorf("a line of more than 80 columns: %s", line)
		}
	}
	if !strings.Contains(report, "tokens a byte") || !strings.Contains(report, "loss, nats a byte") {
		t.Error(report)
	}
	for want, more := range map[string][]string{
		"--vocab is 10, expected": {"--vocab", "10"}, "--vocab is 4000, expected": {"--vocab", "4000"},
		"prune needs --target": {"--vocab", "280", "--dry-run"},
	} {
		if code, _, log := runCommand(t, t.Context(), args("refused", more...)...); code != 2 || !strings.Contains(log, want) {
			t.Errorf("%v: exit %d, %s", more, code, log)
		}
	}
}
