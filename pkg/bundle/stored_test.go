package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// A bundle that keeps its weights as bfloat16 or Q8_0 holds what float32 weights round
// to, adapters added before; it takes less memory and is saved as those values.
func TestStoredWeights(t *testing.T) {
	b, lora := drawn(t, small), model.LoRA{Rank: 2, Targets: []string{model.TargetFFN}}
	files, err := b.Files("")
	if err != nil {
		t.Fatal(err)
	}
	dir, withAdapters := filepath.Join(t.TempDir(), "m"), filepath.Join(t.TempDir(), "adapted")
	for at, more := range map[string][]checkpoint.File{dir: nil, withAdapters: AdapterFiles(adapters(t, b, lora), lora)} {
		if err := checkpoint.WriteDir(at, append(slices.Clone(files), more...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, withAdapters} {
		for _, dtype := range []param.DType{param.BF16, param.Q8} {
			want, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			before := want.Set.WeightBytes()
			if err := want.Set.StoreAll(dtype); err != nil {
				t.Fatal(err)
			}
			got, err := Open(path, Options{Weights: dtype})
			if err != nil {
				t.Fatal(err)
			}
			stored := 0
			for _, bl := range want.Set.Blocks {
				w, g := bl.Stored(want.Set), got.Set.Block(bl.Name).Stored(got.Set)
				if !slices.Equal(w.F32, g.F32) || !slices.Equal(w.BF16, g.BF16) || !slices.Equal(w.Q8, g.Q8) {
					t.Errorf("%s: block %s differs", dtype, bl.Name)
				}
				if bl.DType() == dtype {
					stored++
				}
			}
			if n := got.Set.WeightBytes(); stored < 6 || n > before/2+10000 {
				t.Errorf("%s: %d blocks in %d bytes, float32 %d", dtype, stored, n, before)
			}
			if dtype == param.BF16 && path == dir { // what is saved is what the values were
				out := filepath.Join(t.TempDir(), "again")
				if err := got.Save(out, SaveOptions{DType: "F32"}); err != nil {
					t.Fatal(err)
				}
				again, err := Open(out, Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range got.Set.Params {
					if x := p.Floats(make([]float32, p.Size()), 0, p.Size()); !slices.Equal(x, again.Set.Param(p.Name).Data()) {
						t.Errorf("%s was saved as other values", p.Name)
					}
				}
				again.Close()
			}
			want.Close()
			got.Close()
			got.Close()
		}
	}
}

// A GGUF file's matrices are kept as asked, block by block, and as bfloat16 where the file
// has them so; what is exported from a set of bfloat16 is what is from its float32 values.
func TestStoredWeightsOfGGUF(t *testing.T) {
	s := small
	s.Vocab = 280
	b := drawn(t, s)
	bpe, err := tokenizer.Train([]byte(strings.Repeat("The quick brown fox jumps over 13 lazy dogs.\n", 40)), 280)
	if err != nil {
		t.Fatal(err)
	}
	b.Tokenizer, b.Ends = bpe, []int32{bpe.EOS()}
	paths := map[string]string{"F32": writeGGUF(t, b, "F32"), "BF16": writeGGUF(t, b, "BF16"), "Q8_0": writeGGUF(t, b, "Q8_0")}
	for _, c := range []struct {
		file       string
		asked, got param.DType
	}{
		{"F32", AsStored, param.F32}, {"BF16", AsStored, param.BF16}, {"Q8_0", AsStored, param.F32},
		{"BF16", "", param.F32}, {"F32", param.BF16, param.BF16}, {"F32", param.Q8, param.Q8}, {"Q8_0", param.Q8, param.Q8},
	} {
		want, err := Open(paths[c.file], Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		got, err := Open(paths[c.file], Options{Weights: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if err := want.Set.StoreAll(c.got); err != nil {
			t.Fatal(err)
		}
		for _, bl := range want.Set.Blocks {
			w, g := bl.Stored(want.Set), got.Set.Block(bl.Name).Stored(got.Set)
			if !slices.Equal(w.F32, g.F32) || !slices.Equal(w.BF16, g.BF16) || !slices.Equal(w.Q8, g.Q8) {
				t.Errorf("%s of %s: block %s is %s, expected the values of %s", c.asked, c.file, bl.Name, got.Set.Block(bl.Name).DType(), bl.DType())
			}
		}
		if c.got != param.BF16 {
			continue
		}
		for _, format := range []string{"gguf", "onnx", "hf"} {
			wide, err := Open(paths[c.file], Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer wide.Close()
			if err := errors.Join(wide.Set.StoreAll(param.BF16), got.Set.StoreAll(param.BF16)); err != nil {
				t.Fatal(err)
			}
			for _, block := range wide.Set.Blocks {
				wide.Set.Widen(block)
			}
			if x, y := exported(t, got, format), exported(t, wide, format); !bytes.Equal(x, y) {
				t.Errorf("%s: %d bytes from bfloat16 differ from %d bytes of the same values in float32", format, len(x), len(y))
			}
		}
	}
}

// exported is the bytes of a bundle's weights in a format.
func exported(t *testing.T, b *Bundle, format string) []byte {
	t.Helper()
	text, err := b.Tokenizer.JSON()
	if err != nil {
		t.Fatal(err)
	}
	p, err := export.New(b.Model, b.Set, export.Options{Format: format, DType: "F32", Pad: true, Tokenizer: text, EOS: int(b.Ends[0])})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	if format == "hf" {
		path = filepath.Join(path, "model.safetensors")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
