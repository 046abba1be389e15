package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesAnywhere: the examples are in the program, under their names.
func TestExamplesAnywhere(t *testing.T) {
	list, _ := mustRun(t, "ecospa", "config", "list")
	files, err := filepath.Glob("../configs/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		if shown, _ := mustRun(t, "ecospa", "config", "show", name); shown != string(text) || !strings.Contains(list, "\n"+name+" ") {
			t.Errorf("%s is not listed or not shown as it is:\n%s", name, list)
		}
	}
	t.Chdir(t.TempDir())
	mustRun(t, append(append([]string{"ecospa", "pretrain", "-c", "quickstart"}, quicker["pretrain"]...), "--set", "train.steps=2", "--set", "data.bytes=20KB", "--out", "x")...)
	refused(t, []bad{
		{"no such example", []string{"ecospa", "pretrain", "-c", "quickstop"}, 3, []string{"quickstop", "quickstart"}},
		{"no such file", []string{"ecospa", "pretrain", "-c", "quickstart.yaml"}, 3, []string{"quickstart.yaml"}},
		{"show nothing", []string{"ecospa", "config", "show"}, 2, []string{"quickstart"}},
	})
}
