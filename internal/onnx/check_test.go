package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// sum is y = x + b.
func sum() *Graph {
	b := checkpoint.Stream{Name: "b", Shape: []int{2}, Fill: func(dst []float32, lo, hi int) { copy(dst, []float32{1, 2}[lo:hi]) }}
	return &Graph{
		Name: "sum", Initializers: []Initializer{{DType: "F32", Stream: b}, {Stream: checkpoint.Stream{Name: "shape", Shape: []int{1}}, Ints: []int64{-1}}},
		Nodes: []Node{
			{Op: "Add", In: []string{"x", "b"}, Out: []string{"z"}, Attributes: []Attribute{{"alpha", float32(0.5)}, {"axes", []int64{1, 2}}}},
			{Op: "Reshape", In: []string{"z", "shape"}, Out: []string{"y"}},
		},
		Inputs:  []Value{{Name: "x", Type: Float, Dims: []Dim{{Size: 2}}}},
		Outputs: []Value{{Name: "y", Type: Float, Dims: []Dim{{Name: "n"}}}},
	}
}

// stored writes a graph, and its weights beside it.
func stored(t testing.TB, g *Graph, location string) string {
	t.Helper()
	dir := t.TempDir()
	var file, data bytes.Buffer
	if err := g.Write(&file, location); err != nil {
		t.Fatal(err)
	}
	if location != "" {
		if err := g.WriteData(&data); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, filepath.Base(location)), data.Bytes())
	}
	return put(t, filepath.Join(dir, "m.onnx"), file.Bytes())
}

func put(t testing.TB, path string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckRefusesEveryPrefix(t *testing.T) {
	path := stored(t, sum(), "")
	if err := Check(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := Check(put(t, path, whole[:n])); err == nil || !strings.Contains(err.Error(), path+" is no valid ONNX file") {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestCheckFollowsValues(t *testing.T) {
	for want, change := range map[string]func(*Graph){
		`node Add uses "w"`:               func(g *Graph) { g.Nodes[0].In[1] = "w" },
		`node Reshape uses "z"`:           func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] },
		`nothing gives the output "loss"`: func(g *Graph) { g.Outputs[0].Name = "loss" },
		"it has no output":                func(g *Graph) { g.Outputs = nil },
	} {
		g := sum()
		change(g)
		if err := Check(stored(t, g, "")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %s", err, want)
		}
	}
}

func TestCheckComparesLengths(t *testing.T) {
	path := stored(t, sum(), "")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, []byte{8, 2, 0x42, 1, 'b'}) // dims 2, name b
	if at < 0 {
		t.Fatal("the initializer was not found")
	}
	whole[at+1] = 3
	if err := Check(put(t, path, whole)); err == nil || !strings.Contains(err.Error(), `initializer "b" has 8 bytes, expected 3 elements of 4 bytes`) {
		t.Error(err)
	}
}

func TestCheckReadsExternalData(t *testing.T) {
	path := stored(t, sum(), "weights")
	if err := Check(path); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(path), "weights")
	if err := os.Truncate(beside, 7); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err == nil || !strings.Contains(err.Error(), "weights has 7 bytes, expected 8 from 0 on") {
		t.Error(err)
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err == nil {
		t.Error("weights that are not there were taken")
	}
	if err := Check(stored(t, sum(), "../weights")); err == nil || !strings.Contains(err.Error(), "expected a file beside it") {
		t.Error(err)
	}
}

func FuzzCheck(f *testing.F) {
	whole, err := os.ReadFile(stored(f, sum(), ""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	path := filepath.Join(f.TempDir(), "fuzz.onnx")
	f.Fuzz(func(t *testing.T, b []byte) { _ = Check(put(t, path, b)) })
}
