package bundle

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestGGUFAdapters: for every family that llama.cpp has, its matrices with the adapters of
// adapter.gguf added, B·A·alpha/rank, are those of a GGUF file of the merged model.
func TestGGUFAdapters(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/golden/*")
	if err != nil || len(dirs) < 10 {
		t.Fatalf("found %v (%v)", dirs, err)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	written := 0
	for _, dir := range dirs {
		b, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		a, err := model.NewAdapters(b.Set, model.LoRA{Rank: 3, Alpha: 7}, 1)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(5, 6))
		for i := range a.Set.Weights.Data {
			a.Set.Weights.Data[i] = float32(rng.NormFloat64())
		}
		files, err := b.AdapterDir(a, "..")
		if err != nil {
			t.Fatal(err)
		}
		if len(files) < 3 {
			continue // vision, and what llama.cpp does not hold
		}
		written++
		var file bytes.Buffer
		if err := files[2].Write(&file); err != nil || int64(file.Len()) != files[2].Size {
			t.Fatalf("%s: %d bytes, said %d (%v)", dir, file.Len(), files[2].Size, err)
		}
		f, err := gguf.Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		before := gathered(t, b)
		a.Merge(pool, b.Set)
		adapted := 0
		for name, want := range gathered(t, b) {
			ia, ok := f.Tensors[name+".lora_a"]
			if !ok {
				if d := apart(before[name], want); d != 0 {
					t.Errorf("%s: %s is adapted by %g and the file lacks it", dir, name, d)
				}
				continue
			}
			adapted++
			A, B := rowsOf(t, f, name+".lora_a"), rowsOf(t, f, name+".lora_b")
			scale, in := float64(f.Keys["adapter.lora.alpha"].(float32))/3, ia.Shape[len(ia.Shape)-1]
			for i, w := range want {
				sum := float64(before[name][i])
				for r := range 3 {
					sum += scale * float64(B[i/in*3+r]) * float64(A[r*in+i%in])
				}
				if math.Abs(sum-float64(w)) > 1e-4*math.Max(1, math.Abs(sum)) {
					t.Fatalf("%s: %s[%d] is %g with the file's adapters, %g merged", dir, name, i, sum, w)
				}
			}
		}
		if adapted == 0 {
			t.Errorf("%s: no matrix is adapted", dir)
		}
	}
	if written < 10 {
		t.Errorf("%d files", written)
	}
}

// gathered is the matrices as a GGUF file has them.
func gathered(t *testing.T, b *Bundle) map[string][]float32 {
	t.Helper()
	var layouts []checkpoint.Tensor
	layouts = append(layouts, b.Model.Table().GGUFTensors(b.Set)...)
	streams, err := checkpoint.Gather(b.Set, layouts)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for _, s := range streams {
		if len(s.Shape) == 2 {
			out[s.Name] = make([]float32, s.Elements())
			s.Fill(out[s.Name], 0, s.Shape[0])
		}
	}
	return out
}

// rowsOf is a tensor of a GGUF file.
func rowsOf(t *testing.T, f *gguf.File, name string) []float32 {
	t.Helper()
	n := 1
	for _, d := range f.Tensors[name].Shape {
		n *= d
	}
	out := make([]float32, n)
	if err := f.Rows(name, out, 0); err != nil {
		t.Fatal(err)
	}
	return out
}
