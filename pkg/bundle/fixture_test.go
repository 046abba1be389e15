package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

var no = false

// small is a llama over bytes of about a million parameters: 4 MiB, so that a leak shows.
var small = model.Sizes{Family: "llama", Layers: 2, Width: 256, Heads: 4, KVHeads: 2, FFN: 256, Vocab: 270, Context: 64, Tied: &no}

// drawn is a new bundle of a family with weights of a seed.
func drawn(t testing.TB, s model.Sizes) *Bundle {
	t.Helper()
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Weights.Close)
	set.Init(7)
	return &Bundle{Model: m, Set: set, Tokenizer: tokenizer.Bytes{}}
}

// saved is the directory of a new bundle, with more files: name to content.
func saved(t testing.TB, s model.Sizes, more map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := drawn(t, s).Save(dir, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range more {
		put(t, dir, name, text)
	}
	return dir
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edit changes a text file of a directory.
func edit(t testing.TB, dir, name, old, new string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s holds no %q:\n%s", name, old, text)
	}
	put(t, dir, name, strings.Replace(string(text), old, new, 1))
}

// adapters draws adapters for a bundle, with products that are not 0.
func adapters(t testing.TB, b *Bundle, c model.LoRA) *model.Adapters {
	t.Helper()
	a, err := model.NewAdapters(b.Set, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Set.Weights.Close)
	for i := range a.Set.Weights.Data {
		a.Set.Weights.Data[i] = float32(i%7-3) / 50
	}
	return a
}
