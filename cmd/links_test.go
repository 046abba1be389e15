package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinks holds that every file that the README or a page of docs/ links to exists.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	results, err := filepath.Glob("../docs/results/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, results...), "../README.md")
	n := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)"#\s]+)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "results/") && page != "../README.md" {
				continue // elsewhere; or results, which come when they have been measured
			}
			n++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("%d links in %d pages", n, len(pages))
	}
}
