package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/config"
)

// TestConfigs loads every file of configs/ as its command does, and holds that its
// header says how it is run, how long it takes and what comes of it.
func TestConfigs(t *testing.T) {
	files, err := filepath.Glob("../configs/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var head strings.Builder
		for line := range strings.SplitSeq(string(text), "\n") {
			if !strings.HasPrefix(line, "#") {
				break
			}
			head.WriteString(line + "\n")
		}
		for _, want := range []string{"-c configs/" + filepath.Base(f), "Time: "} {
			if !strings.Contains(head.String(), want) {
				t.Errorf("the header of %s lacks %q", f, want)
			}
		}
		if !strings.Contains(head.String(), "Expect: ") && !strings.Contains(head.String(), "Results:") {
			t.Errorf("the header of %s says neither what to expect nor where results are", f)
		}
		switch {
		case strings.Contains(head.String(), "ecospa bench compare"):
			if _, err := config.LoadCompare(f, []string{"train.data.path=x"}); err != nil {
				t.Error(err)
			}
		case strings.Contains(head.String(), "ecospa bench frontier"):
			if _, err := config.LoadFrontier(f, []string{"train.data.path=x"}); err != nil {
				t.Error(err)
			}
		case strings.Contains(head.String(), "ecospa bench paper"):
			// TestPaperFiles of pkg/lab loads it with every file that it names.
		case strings.Contains(head.String(), "ecospa finetune"):
			r, err := config.Load(f, []string{"from=x", "data.path=x"})
			if err == nil {
				err = r.Validate()
			}
			if err != nil {
				t.Errorf("%s: %v", f, err)
			}
		default:
			r, err := config.Load(f, nil)
			if err == nil && r.Data.Path == "" && r.Data.Synthetic == "" {
				r.Data.Path = "x"
			}
			if err == nil {
				err = r.Validate()
			}
			if err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}
