package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadPaperRefuses(t *testing.T) {
	const ok = "quick: {seeds: [1]}\nrows:\n  - {name: a, title: A, config: x.yaml, variants: [{name: dense}]}\n"
	for want, text := range map[string]string{
		"rows, seeds and quick.seeds": "rows: []\n",
		"rows[1].name":                ok + "  - {name: a, title: B, compare: x.yaml}\n",
		"rows[1].title":               ok + "  - {name: b, compare: x.yaml}\n",
		"expected one of them":        ok + "  - {name: b, title: B}\n",
		"do not apply":                ok + "  - {name: b, title: B, compare: x.yaml, set: [a=b]}\n",
		"rows[1].variants":            ok + "  - {name: b, title: B, config: x.yaml}\n",
		"variants[0].name":            ok + "  - {name: b, title: B, config: x.yaml, variants: [{name: ../x}]}\n",
		"unknown key":                 ok + "rowz: 1\n",
	} {
		f := filepath.Join(t.TempDir(), "paper.yaml")
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPaper(f); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, expected %q", text, err, want)
		}
	}
}
