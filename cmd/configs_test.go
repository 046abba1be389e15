package cmd

import (
	"fmt"
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
			c, err := config.LoadCompare(f, []string{"train.data.path=x"})
			if err == nil {
				err = c.Resolve().Validate()
			}
			if err != nil {
				t.Error(err)
			}
		case strings.Contains(head.String(), "ecospa bench paper"):
			if err := paperLoads(f); err != nil {
				t.Errorf("%s: %v", f, err)
			}
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

// paperLoads loads a file of experiments and every file that it names, with every
// override that it makes, in earnest and for a quick look.
func paperLoads(path string) error {
	file, err := config.LoadPaper(path)
	if err != nil {
		return err
	}
	for _, quick := range []bool{false, true} {
		p := &paper{Paper: file, quick: quick, Out: "out", PaperOptions: PaperOptions{Data: "x.txt", Other: "y.txt", Images: "x.csv", ImagesTest: "y.csv"}}
		for i := range p.Rows {
			row := &p.Rows[i]
			if row.Compare != "" {
				if _, err := p.comparison(row); err != nil {
					return err
				}
			}
			if row.Bench.Mode != "" {
				if _, err := benchOptions(p.timings(row), true).Memory(); err != nil {
					return err
				}
			}
			for j := range row.Variants {
				v := &row.Variants[j]
				set := append(p.overrides(row, v), "data.path="+p.data(row.Data))
				if v.From != "" {
					set = append(set, "from=x")
				}
				r, err := config.Load(p.File(v.Config), set)
				if err == nil {
					err = r.Validate()
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", row.Name, v.Name, err)
				}
			}
		}
	}
	return nil
}
