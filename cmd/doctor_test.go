package cmd

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/pkg/model"
)

func TestDoctor(t *testing.T) {
	old := available
	defer func() { available = old }()
	available = func() (int64, string, bool) { return 1 << 30, "the test", true }
	out, _ := mustRun(t, "ecospa", "doctor", "--json", "--batch", "1", "--context", "64")
	var r bench.Machine
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.PeakF32 <= 0 || r.ReadGBs <= 0 || r.Threads < 1 || r.Path == "" || r.Free != 1<<30 || len(r.Sizes) != len(model.Names()) {
		t.Errorf("doctor gives %+v", r)
	}
	for i, s := range r.Sizes {
		if i > 0 && s.Params < r.Sizes[i-1].Params {
			t.Errorf("%s is out of order", s.Model)
		}
		if len(s.Bytes) != len(bench.Manners) || s.Bytes[0] < 16*int64(s.Params) || s.Bytes[1] >= s.Bytes[0] || s.Bytes[2] > s.Bytes[1] {
			t.Errorf("%s takes %v bytes for %d parameters", s.Model, s.Bytes, s.Params)
		}
		if len(s.Tasks) != len(bench.Tasks) || s.Tasks[0] <= 2*int64(s.Params) || s.Tasks[3] <= s.Tasks[0] || s.Tasks[3] >= s.Bytes[2] {
			t.Errorf("%s takes %v bytes for tasks", s.Model, s.Tasks)
		}
		for k, b := range s.Bytes {
			if s.Fits[k] != (b <= 1<<30) {
				t.Errorf("%s in %s: %d bytes fit: %v", s.Model, r.Manners[k].Name, b, s.Fits[k])
			}
		}
	}
	for line := range strings.Lines(r.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, w := range append(bench.Manners, bench.Tasks...) {
		if w.Name == "lora" {
			continue // of finetune
		} // every key is one of a run file
		args := append(small(t.TempDir()), "--set", "train.steps=0") // refused after the keys have been read
		for _, kv := range w.Set {
			args = append(args, "--set", kv)
		}
		if code, _, msg := runCommand(t, context.Background(), args...); code != exitUsage || !strings.Contains(msg, "train.steps") {
			t.Errorf("%v: %s", w.Set, msg)
		}
	}
	if code, _, _ := runCommand(t, context.Background(), "ecospa", "doctor", "--batch", "0"); code != exitUsage {
		t.Errorf("--batch 0 ends with %d", code)
	}
}
