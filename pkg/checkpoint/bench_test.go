package checkpoint

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkModel writes, checks and reads 256 MB of weights, half of them transposed.
func BenchmarkModel(b *testing.B) {
	shapes := map[string][]int{"a": {8192, 4096}, "b": {8192, 4096}}
	tensors := []Tensor{{Name: "x", Parts: []Part{{Param: "a", Perm: nil}}}, {Name: "y", Parts: []Part{{Param: "b", Perm: []int{1, 0}}}}}
	set := fill(b, shapes, "a", "b")
	dir := scratch(b)
	file := File{Name: weightsFile, Write: func(w io.Writer) error { return WriteWeights(w, set, tensors, "F32") }}
	if err := WriteDir(filepath.Join(dir, "m"), []File{file}); err != nil {
		b.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "m"))
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	for name, f := range map[string]func() error{
		"encode": func() error { return WriteWeights(io.Discard, set, tensors, "F32") },
		"write":  func() error { return ReplaceDir(filepath.Join(dir, "n"), []File{file}) },
		"verify": func() error { return Verify(root) },
		"read":   func() error { return ReadWeights(root, set, tensors, nil) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * int64(set.Count()))
			for range b.N {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
