package model

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFamilyIsOneFile: a family's name stands in its own file and nowhere else in the
// program: what differs between families is asked of Arch and Table. (Tokenizers are
// apart: llama.cpp calls them by families' names.)
func TestAFamilyIsOneFile(t *testing.T) {
	tokenizers := map[string]bool{"pkg/tokenizer": true, "internal/ggufmodel": true, "pkg/export/vocabulary.go": true, "pkg/export/vocabulary_kinds.go": true}
	files := map[string][]byte{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(path, "../../")
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || rel == "examples" || tokenizers[rel]):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || tokenizers[rel]:
			return nil
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for name := range texts {
		var in []string
		for path, text := range files {
			if bytes.Contains(text, fmt.Appendf(nil, "%q", name)) && path != "pkg/model/sizes.go" && path != "pkg/model/llama_keys.go" { // sizes by name; keys that others share
				in = append(in, path)
			}
		}
		if len(in) != 1 || !strings.HasPrefix(in[0], "pkg/model/") {
			t.Errorf("%q stands in %v, expected one file of pkg/model", name, in)
		}
	}
}
