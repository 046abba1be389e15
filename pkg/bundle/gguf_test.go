package bundle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// writeGGUF exports a bundle.
func writeGGUF(t *testing.T, b *Bundle, dtype string) string {
	t.Helper()
	text, err := b.Tokenizer.JSON()
	if err != nil {
		t.Fatal(err)
	}
	front, back := b.Tokenizer.Template()
	eos := -1
	if len(b.Ends) > 0 {
		eos = int(b.Ends[0])
	}
	p, err := export.New(b.Model, b.Set, export.Options{Format: "gguf", DType: dtype, Pad: true, Tokenizer: text, EOS: eos, Front: front, Back: back})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenGGUF: a model that was exported opens as what it was: tokenizer, ends of text,
// type and logits.
func TestOpenGGUF(t *testing.T) {
	corpus := []byte(strings.Repeat("The quick brown fox jumps over 13 lazy dogs; it's 2026, naïvely.\n", 40))
	bpe, err := tokenizer.Train(corpus, 280)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	for _, c := range []struct {
		sizes model.Sizes
		dtype string
		saved string
		tol   float64
	}{
		{small, "F32", "F32", 1e-5}, {small, "BF16", "BF16", 2e-2}, {small, "Q8_0", "BF16", 2e-2},
		{model.Sizes{Family: "gpt2", Layers: 2, Width: 64, Heads: 4, Context: 64}, "F32", "F32", 1e-5},
	} {
		c.sizes.Vocab = 288 // padded over the tokenizer's 280
		b := drawn(t, c.sizes)
		b.Tokenizer, b.Ends = bpe, []int32{bpe.EOS()}
		got, err := Open(writeGGUF(t, b, c.dtype), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if got.Model.Family() != c.sizes.Family || got.DType != c.saved || !slices.Equal(got.Ends, b.Ends) || len(got.Unused()) != 8 {
			t.Errorf("%s in %s: family %s, type %s, ends %v, %d rows without a token", c.sizes.Family, c.dtype, got.Model.Family(), got.DType, got.Ends, len(got.Unused()))
		}
		for _, s := range []string{"The fox", " naïvely it's 2026", "\n\n  dogs<|endoftext|>x", "€ 你好"} {
			if x, y := got.Tokenizer.Encode(nil, []byte(s)), bpe.Encode(nil, []byte(s)); !slices.Equal(x, y) {
				t.Errorf("%q: ids %v, expected %v", s, x, y)
			}
		}
		probe := export.Probe{Shape: []int{1, 8}, IDs: []int32{1, 5, 9, 200, 3, 7, 7, 40}}
		x, err := export.Logits(b.Model, b.Set, pool, probe)
		if err != nil {
			t.Fatal(err)
		}
		y, err := export.Logits(got.Model, got.Set, pool, probe)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if d := float64(x[i] - y[i]); d > c.tol || d < -c.tol { // of logits below 1, by the type's rounding
				t.Fatalf("%s in %s: logit %d is %g, expected %g", c.sizes.Family, c.dtype, i, y[i], x[i])
			}
		}
		shapes, err := Open(got.Path, Options{ShapesOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if shapes.Set.Weights != nil || shapes.Set.Count() != b.Set.Count() {
			t.Errorf("shapes only: %d parameters, expected %d and no storage", shapes.Set.Count(), b.Set.Count())
		}
		shapes.Close()
		dir := filepath.Join(t.TempDir(), "again")
		if err := got.Save(dir, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if again.DType != c.saved || !slices.Equal(again.Ends, b.Ends) {
			t.Errorf("saved from GGUF: type %s, ends %v, expected %s and %v", again.DType, again.Ends, c.saved, b.Ends)
		}
		again.Close()
	}
}

// TestOpenGGUFOfSentencePiece: pieces with scores, through the file and back.
func TestOpenGGUFOfSentencePiece(t *testing.T) {
	const dir = "../../../shared/data/models/stories260K"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("NOT RUN: stories260K is not here (its files are not part of this repository)")
	}
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := Open(writeGGUF(t, b, "F32"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	front, _ := got.Tokenizer.Template()
	want, _ := b.Tokenizer.Template()
	if !slices.Equal(front, want) || !slices.Equal(got.Ends, b.Ends) {
		t.Errorf("front %v, ends %v, expected %v and %v", front, got.Ends, want, b.Ends)
	}
	for _, s := range []string{"Once upon a time", " two  spaces", "€ 你好\n", "Lily's <s> ball."} {
		if x, y := got.Tokenizer.Encode(nil, []byte(s)), b.Tokenizer.Encode(nil, []byte(s)); !slices.Equal(x, y) {
			t.Errorf("%q: ids %v, expected %v", s, x, y)
		}
	}
}

// TestOpenNotGGUF: a file that is none says so in one line.
func TestOpenNotGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	put(t, filepath.Dir(path), "x.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v: expected one line that names the file", err)
	}
}
