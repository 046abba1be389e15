package onnxtest

import (
	"errors"
	"fmt"
	"io"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// ErrRun is returned when a graph cannot be run: an operator that this package
// does not have, or shapes that do not go together.
var ErrRun = errors.New("onnxtest: cannot run")

// maxElements bounds a value that a node makes.
const maxElements = 1 << 26

// Array is a value: row-major floats in F, or integers and truth values in I.
type Array struct {
	Shape []int
	F     []float32
	I     []int64
}

func (a *Array) len() int { return len(a.F) + len(a.I) }

// floats makes an array of zeros.
func floats(shape ...int) (*Array, error) {
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	return &Array{Shape: shape, F: make([]float32, n)}, nil
}

func elements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > maxElements/d {
			return 0, fmt.Errorf("a value of shape %v, expected at most %d elements", shape, maxElements)
		}
		n *= d
	}
	return n, nil
}

// operator runs a node.
type operator func(r *runner, n *onnx.Node, in []*Array) ([]*Array, error)

var operators = map[string]operator{}

func register(name string, op operator) {
	if operators[name] != nil {
		panic("onnxtest: operator registered twice: " + name)
	}
	operators[name] = op
}

// Run computes the outputs from the inputs, by name.
func (f *File) Run(inputs map[string]*Array) (map[string]*Array, error) {
	r := &runner{f: f, values: map[string]*Array{}, last: map[string]int{}}
	for _, v := range f.Inputs {
		a, ok := inputs[v.Name]
		if !ok || len(a.Shape) != len(v.Dims) {
			return nil, fmt.Errorf("%w: input %.80q is missing, or has not %d dimensions", ErrRun, v.Name, len(v.Dims))
		}
		if n, err := elements(a.Shape); err != nil || n != a.len() || a.F != nil && a.I != nil {
			return nil, fmt.Errorf("%w: input %.80q has %d elements in shape %v", ErrRun, v.Name, a.len(), a.Shape)
		}
		r.values[v.Name] = a
	}
	for i, n := range f.Nodes {
		for _, name := range n.In {
			r.last[name] = i
		}
	}
	for _, v := range f.Outputs {
		r.last[v.Name] = len(f.Nodes)
	}
	for i := range f.Nodes {
		if err := r.node(i); err != nil {
			return nil, fmt.Errorf("%w: node %d, %.40s: %w", ErrRun, i, f.Nodes[i].Op, err)
		}
	}
	out := map[string]*Array{}
	for _, v := range f.Outputs {
		a := r.values[v.Name]
		if a == nil {
			return nil, fmt.Errorf("%w: nothing makes the output %.80q", ErrRun, v.Name)
		}
		out[v.Name] = a
	}
	return out, nil
}

// runner is one run: the values that are still needed.
type runner struct {
	f      *File
	values map[string]*Array
	last   map[string]int // last node that reads a value
}

func (r *runner) node(i int) error {
	n := &r.f.Nodes[i]
	op := operators[n.Op]
	if op == nil {
		return errors.New("an operator that is not known here")
	}
	in := make([]*Array, len(n.In))
	for k, name := range n.In {
		// Gather reads the rows of a table that it needs by itself.
		if n.Op == "Gather" && k == 0 && r.values[name] == nil && r.weight(name) != nil {
			continue
		}
		var err error
		if in[k], err = r.get(name); err != nil {
			return err
		}
		if in[k] == nil && name != "" {
			return fmt.Errorf("no value %.80q", name)
		}
	}
	out, err := op(r, n, in)
	if err != nil {
		return err
	}
	if len(out) != len(n.Out) {
		return fmt.Errorf("%d outputs, expected %d", len(out), len(n.Out))
	}
	for k, a := range out {
		r.values[n.Out[k]] = a
	}
	for _, name := range n.In {
		if r.last[name] == i {
			delete(r.values, name)
		}
	}
	return nil
}

func (r *runner) weight(name string) *weight {
	if w, ok := r.f.weights[name]; ok {
		return &w
	}
	return nil
}

// get is a value that a node has made, or an initializer, read now; nil when
// there is none.
func (r *runner) get(name string) (*Array, error) {
	if a := r.values[name]; a != nil || name == "" {
		return a, nil
	}
	w := r.weight(name)
	if w == nil {
		return nil, nil
	}
	n := 1 // the file has as many: Read has seen to it
	for _, d := range w.shape {
		n *= d
	}
	return r.f.read(w, 0, n, w.shape)
}

// read is n elements of a weight from element `at` on, as an array of the shape.
func (f *File) read(w *weight, at, n int, shape []int) (*Array, error) {
	from := f.r
	if w.location != "" {
		var err error
		if from, _, err = f.open(w.location); err != nil {
			return nil, err
		}
	}
	width := map[int32]int{onnx.Float: 4, onnx.Float16: 2, onnx.Int64: 8}[w.kind]
	raw := make([]byte, n*width)
	if got, err := from.ReadAt(raw, w.offset+int64(at*width)); err != nil && !(err == io.EOF && got == len(raw)) {
		return nil, err
	}
	a := &Array{Shape: shape}
	switch w.kind {
	case onnx.Int64:
		a.I = make([]int64, n)
		for i := range a.I {
			for k := 7; k >= 0; k-- {
				a.I[i] = a.I[i]<<8 | int64(raw[8*i+k])
			}
		}
	default:
		a.F = make([]float32, n)
		checkpoint.Decode(a.F, raw, map[int32]string{onnx.Float: "F32", onnx.Float16: "F16"}[w.kind])
	}
	return a, nil
}

// attributes of a node, with the operator's default.
func intOf(n *onnx.Node, name string, or int64) int64 {
	for _, a := range n.Attributes {
		if v, ok := a.Value.(int64); ok && a.Name == name {
			return v
		}
	}
	return or
}

func floatOf(n *onnx.Node, name string, or float32) float32 {
	for _, a := range n.Attributes {
		if v, ok := a.Value.(float32); ok && a.Name == name {
			return v
		}
	}
	return or
}

func intsOf(n *onnx.Node, name string) []int64 {
	for _, a := range n.Attributes {
		if v, ok := a.Value.([]int64); ok && a.Name == name {
			return v
		}
	}
	return nil
}

// axis is an axis of a value, counted from the end when negative.
func axis(a int64, rank int) (int, error) {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d of %d", a, rank)
	}
	return int(a), nil
}

// want reports whether the inputs are as many, all there.
func want(in []*Array, n int) error {
	if len(in) < n {
		return fmt.Errorf("%d inputs, expected %d", len(in), n)
	}
	for i := range n {
		if in[i] == nil {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

// around is the number of elements before, on and behind an axis.
func around(shape []int, at int) (outer, n, inner int) {
	outer, inner = 1, 1
	for i, d := range shape {
		switch {
		case i < at:
			outer *= d
		case i > at:
			inner *= d
		default:
			n = d
		}
	}
	return outer, n, inner
}
