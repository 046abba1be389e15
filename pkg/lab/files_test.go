package lab

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/config"
)

func TestPaperFiles(t *testing.T) {
	files, err := filepath.Glob("../../configs/paper*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := paperLoads(f); err != nil {
			t.Errorf("%s: %v", f, err)
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
