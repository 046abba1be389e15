package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/internal/onnxtest"
	"github.com/ecospa/ecospa/pkg/param"
)

// An ONNX file has every shape, whatever other formats make of it.
func TestONNXHoldsTheModel(t *testing.T) {
	for _, c := range ggufCases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.sizes, c.config, c.cut)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
		})
	}
	tied := llama
	tied.Tied = &yes
	perHead := merge(otherFFN, otherHeads, everywhere("vo", param.Keep{{0, 3}, {1, 2}, {5, 7}}), param.Cut{"layer.0.qk": {{1}, {0}, {3}}, "layer.2.qk": {{0, 1}, {1, 3}, {0, 3}}})
	for name, f := range map[string]*fixture{
		"llama, every head its own": newFixture(t, tied, "", perHead),
		"gpt2, erf":                 newFixture(t, gpt2, `{"model_type":"gpt2","vocab_size":99,"n_embd":24,"n_layer":1,"n_head":3,"n_positions":20,"activation_function":"gelu"}`, nil),
	} {
		t.Run(name, func(t *testing.T) {
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			checkONNX(t, f, Options{Format: "onnx", DType: "F16"}, 8e-3)
			checkONNX(t, f, Options{Format: "onnx", DType: "F32", Embed: 100}, 1e-5)
		})
	}
}

// checkONNX writes and runs the model and compares the logits.
func checkONNX(t *testing.T, f *fixture, o Options, limit float64) {
	t.Helper()
	p, err := New(f.m, f.set, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := p.Write(path); err != nil {
		t.Fatal(err)
	}
	beside, err := filepath.Glob(path + ".data")
	if err != nil || (len(beside) == 1) != (o.Embed > 0) {
		t.Fatalf("external data: %v, %v", beside, err)
	}
	got, err := runONNX(path, f.probe)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Compare(got, f.logits(t), f.probe.Rows()); err != nil || d.Relative > limit || o.DType == "F16" && d.Largest == 0 {
		t.Fatalf("%s: logits differ: %+v, %v", o.DType, d, err)
	}
}

// runONNX computes the logits of an ONNX file for the probe.
func runONNX(path string, probe Probe) ([]float32, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(filepath.Dir(path)) // no link leads out of it
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	beside := map[string]*os.File{}
	defer func() {
		for _, f := range beside {
			f.Close() // only read
		}
	}()
	f, err := onnxtest.Read(in, st.Size(), func(location string) (io.ReaderAt, int64, error) {
		f := beside[location]
		if f == nil {
			var err error
			if f, err = folder.Open(location); err != nil {
				return nil, 0, err
			}
			beside[location] = f
		}
		st, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, st.Size(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x := &onnxtest.Array{Shape: probe.Shape, F: probe.Pixels}
	for _, id := range probe.IDs {
		x.I = append(x.I, int64(id))
	}
	if len(f.Inputs) != 1 {
		return nil, fmt.Errorf("%w: %s: %d inputs, expected 1", onnxtest.ErrFormat, path, len(f.Inputs))
	}
	out, err := f.Run(map[string]*onnxtest.Array{f.Inputs[0].Name: x})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if out["logits"] == nil {
		return nil, fmt.Errorf("%s: it has no output logits", path)
	}
	return out["logits"].F, nil
}

// TestONNXAnyLength: one file computes any number of sequences of any length, whatever
// length its graph was built for, also where pruning left one unit.
func TestONNXAnyLength(t *testing.T) {
	one := merge(everywhere("ffn", every(1, 3)), everywhere("vo", every(3, 5)), everywhere("qk", every(3, 2)))
	for name, f := range map[string]*fixture{
		"llama":           newFixture(t, llama, "", nil),
		"llama, one unit": newFixture(t, llama, "", one),
		"gpt2":            newFixture(t, gpt2, "", nil),
		"gpt2, one unit":  newFixture(t, gpt2, "", one),
	} {
		t.Run(name, func(t *testing.T) {
			f.probe = Probe{IDs: []int32{3, 200, 9, 77, 1, 0, 5, 251, 2, 90, 13, 8, 41, 6}, Shape: []int{2, 7}}
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
			f.probe = Probe{IDs: []int32{17}, Shape: []int{1, 1}}
			checkONNX(t, f, Options{Format: "onnx", DType: "F32"}, 1e-5)
		})
	}
}
