package bundle

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
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
