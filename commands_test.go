package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommandBlocks holds that every block of commands in README.md, CONTRIBUTING.md and
// docs says whether a test runs it: the line before it is "<!-- tested: TestName -->", of
// a test that there is, or "<!-- not tested: reason -->". Pages of results state what was
// run by hand, with the machine and the day.
func TestCommandBlocks(t *testing.T) {
	tests := map[string]bool{}
	pages := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case d.IsDir() && (name == filepath.Join("docs", "results") || strings.HasPrefix(d.Name(), ".") && name != "."):
			err = filepath.SkipDir
		case strings.HasPrefix(name, "docs") && filepath.Ext(name) == ".md":
			pages = append(pages, name)
		case strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				tests[string(m[1])] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`^<!-- (?:tested: (\w+)|not tested: .+) -->$`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		before := ""
		for i, line := range strings.Split(string(text), "\n") {
			if line == "```sh" {
				switch m := mark.FindStringSubmatch(before); {
				case m == nil:
					t.Errorf("%s:%d: the line before a block of commands is %q, expected <!-- tested: TestName --> or <!-- not tested: reason -->", page, i+1, before)
				case m[1] != "" && !tests[m[1]]:
					t.Errorf("%s:%d: there is no test %s", page, i+1, m[1])
				}
			}
			before = line
		}
	}
}
