package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesStaySmall: a file of this package is the flags of a subcommand and one call. One
// that grows over 250 lines holds what belongs in a library.
func TestFilesStaySmall(t *testing.T) {
	const most = 250
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files (%v), expected those of this package", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > most {
			t.Errorf("cmd/%s has %d lines, expected at most %d", name, n, most)
		}
	}
}
