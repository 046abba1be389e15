package export

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestONNXOfEveryFamily: what an ONNX file of every golden model computes is what PyTorch
// computed; and after a cut with other units in every head and layer, what the model computes.
func TestONNXOfEveryFamily(t *testing.T) {
	cases, err := filepath.Glob("../../testdata/golden/*/config.json")
	if err != nil || len(cases) < 11 {
		t.Fatalf("found %v (%v)", cases, err)
	}
	pool := kernel.NewPool(1)
	t.Cleanup(pool.Close)
	for _, c := range cases {
		dir := filepath.Dir(c)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			m, set, err := model.Read(root)
			if err != nil {
				t.Fatal(err)
			}
			want, err := checkpoint.ReadTensors(root, "golden.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			f := &fixture{m, set, pool, NewProbe(m)}
			if f.probe.Pixels == nil {
				f.probe = Probe{Shape: []int{2, len(want["ids"]) / 2}}
				for _, id := range want["ids"] {
					f.probe.IDs = append(f.probe.IDs, int32(id))
				}
			} else {
				f.probe.Pixels = want["pixels"]
			}
			got := runFixture(t, f)
			if d, err := Compare(got, want["logits"], f.probe.Rows()); err != nil || d.Relative > 2e-5 {
				t.Errorf("against PyTorch: %+v, %v", d, err)
			}
			if err := set.Shrink(ragged(set)); err != nil {
				t.Fatal(err)
			}
			if d, err := Compare(runFixture(t, f), f.logits(t), f.probe.Rows()); err != nil || d.Relative > 2e-5 {
				t.Errorf("after a cut: %+v, %v", d, err)
			}
		})
	}
}

// ragged keeps all but one unit of every list, another one in each; where units are
// shared by the heads, one list says so.
func ragged(set *param.Set) param.Cut {
	cut := param.Cut{}
	for i, g := range coupled.Groups(set) {
		if g.Kind == coupled.Head || g.Units < 2 {
			continue
		}
		for l := range g.Lists {
			var kept []int
			for u := range g.Units {
				if u != (i+l)%g.Units {
					kept = append(kept, u)
				}
			}
			cut[g.Dim] = append(cut[g.Dim], kept)
		}
	}
	return cut
}

func runFixture(t *testing.T, f *fixture) []float32 {
	t.Helper()
	p, err := New(f.m, f.set, Options{Format: "onnx", DType: "F32"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := runONNX(path, f.probe)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
