package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestByHeads: parts joined head by head and heads split into rotated and resting
// columns lie in the file as written out here, and are read back.
func TestByHeads(t *testing.T) {
	const h, pairs, turned, vo, e = 2, 3, 2, 2, 2
	for name, joined := range map[string]bool{"head by head": true, "one after the other": false} {
		set := fill(t, map[string][]int{"q": {h, pairs, 2, e}, "k": {h, pairs, 2, e}, "v": {h, vo, e}}, "q", "k", "v")
		ts := []Tensor{{Name: "qkv", Rank: 2, Parts: []Part{{Param: "q", Split: turned, At: 1}, {Param: "k", Split: turned, At: 1}, {Param: "v"}}}}
		if joined {
			ts[0].Heads = h
		}
		var want []float32
		head := func(p string, g int) {
			data := set.Param(p).Data()
			row := func(i int) { want = append(want, data[i*e:][:e]...) }
			if p == "v" {
				for u := range vo {
					row(g*vo + u)
				}
				return
			}
			for t := range 2 {
				for u := range turned {
					row((g*pairs+u)*2 + t)
				}
			}
			for i := 2 * turned; i < 2*pairs; i++ {
				row(g*pairs*2 + i)
			}
		}
		if joined {
			for g := range h {
				head("q", g)
				head("k", g)
				head("v", g)
			}
		} else {
			for _, p := range []string{"q", "k", "v"} {
				for g := range h {
					head(p, g)
				}
			}
		}
		dir := filepath.Join(t.TempDir(), "m")
		if err := WriteDir(dir, Model{Config: []byte("{}")}.Files(set, ts, "F32")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		got, err := ReadTensors(root, "model.safetensors")
		if err != nil || !slices.Equal(got["qkv"], want) {
			t.Fatalf("%s: the file has %v (%v), expected %v", name, got["qkv"], err, want)
		}
		before := map[string][]float32{}
		for _, p := range set.Params {
			before[p.Name] = slices.Clone(p.Data())
		}
		clear(set.Weights.Data)
		if err := ReadWeights(root, set, ts, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Params {
			if !slices.Equal(p.Data(), before[p.Name]) {
				t.Fatalf("%s: %s is read back as %v, expected %v", name, p, p.Data(), before[p.Name])
			}
		}
	}
}
