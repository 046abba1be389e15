package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFrontierRefuses: keys that do not exist or would be ignored are errors that name them.
func TestFrontierRefuses(t *testing.T) {
	text, err := os.ReadFile("../../configs/frontier.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "frontier.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := LoadFrontier(path, []string{"train.data.path=x"})
	if err != nil {
		t.Fatal(err)
	}
	if small, err := f.Small(f.Shapes[0]); err != nil || small.Prune.Enabled() || small.Model == f.Train.Model {
		t.Errorf("a small model: %+v, %v", small.Model, err)
	}
	for set, want := range map[string]string{
		"speed=1":                              "speed",
		"train.optim.lr=0.1":                   "optim.lr",
		"train.optim.beta2=0.9":                "optim.beta2",
		"train.prune.start=0.3":                "prune.start",
		"train.prune.target=":                  "target",
		"train.teacher.copy=true":              "teacher.copy",
		"train.from=x":                         "from",
		"train.train.epochs=2":                 "steps",
		"lrs=[2e-3, 1e-3]":                     "increasing",
		"lrs=[1e-3, 1e-3]":                     "twice",
		"beta2s=[2]":                           "beta2",
		"seeds=[]":                             "seeds",
		"repeats=0":                            "repeats",
		"shapes=[{name: big, set: [width=8]}]": "big",
		"shapes=[{name: a, set: [wide=8]}]":    "wide",
		"pruned=[{name: a, start: 0.5, end: 0.25, kl: true}]": "start",
		"late=[{name: a, share: 1.5}]":                        "share",
		"late=[{name: a, learn: lora}]":                       "lora",
		"out=":                                                "out",
	} {
		if _, err := LoadFrontier(path, []string{"train.data.path=x", set}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", set, err, want)
		}
	}
	if _, err := LoadFrontier(path, []string{"train.data.path=x", "train.teacher.temperature=3", "pruned=[{name: a, start: 0.1, end: 0.2}]"}); err == nil || !strings.Contains(err.Error(), "kl") {
		t.Errorf("a teacher without kl: %v", err)
	}
}
