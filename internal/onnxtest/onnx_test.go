package onnxtest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

func weightOf(name, dtype string, x []float32, shape ...int) onnx.Initializer {
	width := len(x) / shape[0]
	return onnx.Initializer{DType: dtype, Stream: checkpoint.Stream{Name: name, Shape: shape, Fill: func(dst []float32, lo, hi int) {
		copy(dst, x[lo*width:hi*width])
	}}}
}

// sample is y = softmax(table[ids]·wᵀ + b), reshaped through a constant of integers.
func sample() *onnx.Graph {
	return &onnx.Graph{
		Name: "sample",
		Initializers: []onnx.Initializer{
			weightOf("table", "F32", []float32{1, 0, 0, 1, 1, 1}, 3, 2),
			weightOf("w", "F16", []float32{0.5, 1, 2, -1}, 2, 2),
			weightOf("b", "F32", []float32{0, 0.25}, 2),
			{Stream: checkpoint.Stream{Name: "shape", Shape: []int{2}}, Ints: []int64{1, -1}},
		},
		Nodes: []onnx.Node{
			{Op: "Gather", In: []string{"table", "ids"}, Out: []string{"x"}, Attributes: []onnx.Attribute{{Name: "axis", Value: int64(0)}}},
			{Op: "Gemm", In: []string{"x", "w", "b"}, Out: []string{"z"}, Attributes: []onnx.Attribute{{Name: "transB", Value: int64(1)}}},
			{Op: "Softmax", In: []string{"z"}, Out: []string{"p"}, Attributes: []onnx.Attribute{{Name: "axis", Value: int64(-1)}}},
			{Op: "Transpose", In: []string{"p"}, Out: []string{"q"}, Attributes: []onnx.Attribute{{Name: "perm", Value: []int64{1, 0}}}},
			{Op: "Reshape", In: []string{"q", "shape"}, Out: []string{"y"}},
		},
		Inputs:  []onnx.Value{{Name: "ids", Type: onnx.Int64, Dims: []onnx.Dim{{Name: "n"}}}},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.Float, Dims: []onnx.Dim{{Size: 1}, {Name: "2n"}}}},
	}
}

func encoded(t testing.TB, g *onnx.Graph, location string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := g.Write(&b, location); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (*File, error) { return Read(bytes.NewReader(b), int64(len(b)), nil) }

func TestWhatIsWrittenRuns(t *testing.T) {
	g := sample()
	var data bytes.Buffer
	if err := g.WriteData(&data); err != nil {
		t.Fatal(err)
	}
	beside := encoded(t, g, "weights")
	for name, load := range map[string]func() (*File, error){
		"embedded": func() (*File, error) { return read(encoded(t, g, "")) },
		"beside": func() (*File, error) {
			return Read(bytes.NewReader(beside), int64(len(beside)), func(location string) (io.ReaderAt, int64, error) {
				if location != "weights" {
					t.Errorf("location %q", location)
				}
				return bytes.NewReader(data.Bytes()), int64(data.Len()), nil
			})
		},
	} {
		f, err := load()
		if err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(f.Nodes, g.Nodes) || !reflect.DeepEqual(f.Inputs, g.Inputs) || !reflect.DeepEqual(f.Outputs, g.Outputs) {
			t.Errorf("%s: read %+v, written %+v", name, f, g)
		}
		out, err := f.Run(map[string]*Array{"ids": {Shape: []int{2}, I: []int64{2, 0}}})
		if err != nil {
			t.Fatal(name, err)
		}
		// rows (1,1) and (1,0): z = (1.5, 1.25) and (0.5, 2.25)
		p, q := 1/(1+math.Exp(-0.25)), 1/(1+math.Exp(1.75))
		for i, want := range []float64{p, q, 1 - p, 1 - q} {
			if got := float64(out["y"].F[i]); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: y[%d] = %g, expected %g", name, i, got, want)
			}
		}
	}
}

func appendVarint(b []byte, field protowire.Number, x uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), x)
}

func appendMessage(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

func TestReadRefuses(t *testing.T) {
	good := encoded(t, sample(), "")
	graph := func(change func(*onnx.Graph)) []byte {
		g := sample()
		change(g)
		return encoded(t, g, "")
	}
	swap := func(from, to string) []byte {
		return bytes.Replace(append([]byte(nil), good...), []byte(from), []byte(to), 1)
	}
	opset := appendMessage(nil, modelOpset, appendVarint(nil, opsetVersion, onnx.Opset))
	huge := protowire.AppendVarint(protowire.AppendTag(append([]byte(nil), opset...), modelGraph, protowire.BytesType), 1<<62)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":             {nil, "0 graphs"},
		"text":              {[]byte("not a model at all"), ""},
		"cut":               {good[:len(good)-9], "left"},
		"another set":       {swap(string(opset), string(appendMessage(nil, modelOpset, appendVarint(nil, opsetVersion, 9)))), "operator set 9"},
		"a huge graph":      {huge, "a field of 4611686018427387904 bytes"},
		"twice":             {graph(func(g *onnx.Graph) { g.Initializers[2].Name = "w" }), `"w" twice`},
		"shape and data":    {swap("\x08\x03\x08\x02", "\x08\x04\x08\x02"), "expected 32 bytes"},
		"external, no file": {encoded(t, sample(), "weights"), `lies in "weights"`},
	} {
		if _, err := read(c.b); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected ErrFormat with %q", name, err, c.want)
		}
	}
	for _, location := range []string{"../weights", "/etc/passwd", "a/b", ".."} {
		b := encoded(t, sample(), location)
		_, err := Read(bytes.NewReader(b), int64(len(b)), func(string) (io.ReaderAt, int64, error) {
			t.Errorf("%s was opened", location)
			return nil, 0, nil
		})
		if !errors.Is(err, ErrFormat) {
			t.Errorf("location %s: %v", location, err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	ids := map[string]*Array{"ids": {Shape: []int{2}, I: []int64{2, 0}}}
	for name, c := range map[string]struct {
		change func(*onnx.Graph)
		inputs map[string]*Array
		want   string
	}{
		"operator":   {func(g *onnx.Graph) { g.Nodes[2].Op = "Conv" }, ids, "not known here"},
		"value":      {func(g *onnx.Graph) { g.Nodes[2].In[0] = "zz" }, ids, `no value "zz"`},
		"output":     {func(g *onnx.Graph) { g.Outputs[0].Name = "yy" }, ids, `output "yy"`},
		"shapes":     {func(g *onnx.Graph) { g.Nodes[1].In[1] = "table"; g.Nodes[1].Attributes = nil }, ids, "shapes"},
		"perm":       {func(g *onnx.Graph) { g.Nodes[3].Attributes[0].Value = []int64{1, 1} }, ids, "perm"},
		"reshape":    {func(g *onnx.Graph) { g.Initializers[3].Ints = []int64{3, -1} }, ids, "to [3 -1]"},
		"no input":   {func(*onnx.Graph) {}, nil, `input "ids"`},
		"an index":   {func(*onnx.Graph) {}, map[string]*Array{"ids": {Shape: []int{1}, I: []int64{3}}}, "index 3 of 3"},
		"a bad size": {func(*onnx.Graph) {}, map[string]*Array{"ids": {Shape: []int{3}, I: []int64{1}}}, "1 elements in shape [3]"},
	} {
		g := sample()
		c.change(g)
		f, err := read(encoded(t, g, ""))
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := f.Run(c.inputs); !errors.Is(err, ErrRun) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected ErrRun with %q", name, err, c.want)
		}
	}
}

// An operator without its inputs, or with some of them left out, is an error.
func TestInputsLeftOut(t *testing.T) {
	one := func(ints bool) *Array {
		if ints {
			return &Array{Shape: []int{1}, I: []int64{0}}
		}
		return &Array{Shape: []int{1}, F: []float32{1}}
	}
	f, err := read(encoded(t, sample(), ""))
	if err != nil {
		t.Fatal(err)
	}
	for name, op := range operators {
		for count := range 5 {
			for kinds := range 81 { // of each input: left out, whole numbers, fractions
				in, names := make([]*Array, count), make([]string, count)
				missing := count == 0
				for i, k := 0, kinds; i < count; i, k = i+1, k/3 {
					if k%3 > 0 {
						in[i], names[i] = one(k%3 == 1), "x"
					}
					missing = missing || i == 0 && k%3 == 0
				}
				r := &runner{f: f, values: map[string]*Array{}, last: map[string]int{}}
				_, err := op(r, &onnx.Node{Op: name, In: names, Out: []string{"y"}}, in)
				if missing && err == nil {
					t.Errorf("%s of %d inputs, kinds %d: no error", name, count, kinds)
				}
			}
		}
	}
}

func FuzzReadAndRun(f *testing.F) {
	f.Add(encoded(f, sample(), ""))
	f.Add(encoded(f, sample(), "weights"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bytes.NewReader(b), int64(len(b)), func(string) (io.ReaderAt, int64, error) {
			return bytes.NewReader(make([]byte, 1<<14)), 1 << 14, nil
		})
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is no ErrFormat", err)
			}
			return
		}
		if _, err := m.Run(map[string]*Array{"ids": {Shape: []int{2}, I: []int64{2, 0}}}); err != nil && !errors.Is(err, ErrRun) {
			t.Fatalf("%v is no ErrRun", err)
		}
	})
}
