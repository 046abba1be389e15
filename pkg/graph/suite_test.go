package graph

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/internal/onnxtest"
	"github.com/ecospa/ecospa/pkg/param"
)

// opCase is an operation between parameters and a loss. Its blocks are named a,
// b, c in the order of sizes; make returns rows of the given width.
type opCase struct {
	name  string
	sizes [][]int
	rows  int
	width int
	make  func(b *Builder, p []*Node) *Node
}

// opCases are what TestOperations checks. An operation joins from its own test file:
//
//	var _ = joins(opCase{"double", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Double(p[0]) }})
var opCases []opCase

func joins(cases ...opCase) bool {
	opCases = append(opCases, cases...)
	return true
}

// elsewhere are operations that are no value between parameters and a loss, which have
// tests of their own: without a gradient, and losses.
var elsewhere = []string{"RoPEAt", "CachedAttention", "AddPositions", "Patches", "GateDot", "GateDotHeads", "GateLayer", "Observe", "HeadLoss.%s", "Match", "MatchBackward", "VectorLoss", "VectorLossBackward"}

// TestOperations checks every operation: gradients against finite differences; the same
// bits with memory that is shared and filled with NaN when a value is dead; the ONNX form
// against what the machine computes. It fails for an operation that no case runs.
func TestOperations(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range opCases {
		t.Run(c.name, func(t *testing.T) {
			set := c.params(t)
			checkGradients(t, set, map[string]float64{"nll": 0.5}, c.build(set), func(m *Machine) {
				c.feed(t, m)
				for _, s := range m.plan.Steps {
					seen[strings.FieldsFunc(s.Name, func(r rune) bool { return r == '(' || r == '+' || r == ' ' })[0]] = true
				}
			})
			c.checkMemory(t, set)
			c.checkONNX(t, set)
		})
	}
	for _, name := range elsewhere {
		seen[name] = true
	}
	files, err := filepath.Glob("op_*.go")
	ok(t, err)
	named := regexp.MustCompile(`Name:\s+(?:fmt.Sprintf\()?"([A-Z][A-Za-z.]*(?:%s)?)`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		ok(t, err)
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if !seen[m[1]] && !strings.HasSuffix(f, "_test.go") {
				t.Errorf("%s: operation %s is in no case of TestOperations", f, m[1])
			}
		}
	}
}

func (c opCase) params(t *testing.T) *param.Set {
	var specs []param.Spec
	block := func(name string, dims ...int) {
		s := param.Spec{Name: name, Init: param.Init{Mean: 0.2, Std: 0.8}}
		for _, d := range dims {
			s.Dims = append(s.Dims, param.Dim{Size: d})
		}
		specs = append(specs, s)
	}
	for i, s := range c.sizes {
		block("abcd"[i:i+1], s...)
	}
	block("w", classes, c.width)
	block("bias", classes)
	set, err := param.New(specs)
	ok(t, err)
	set.Init(3)
	return set
}

const classes = 7

// operation is the operation's value, over parameters.
func (c opCase) operation(b *Builder) *Node {
	var p []*Node
	for i := range c.sizes {
		p = append(p, b.Param("abcd"[i:i+1]))
	}
	return c.make(b, p)
}

// build puts a head with bias and smoothed targets on the operation, so that its
// output's gradient has no structure.
func (c opCase) build(set *param.Set) func(train bool) *Builder {
	return func(train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		b.HeadLoss(LossOperands{X: c.operation(b), W: b.Param("w"), Bias: b.Param("bias"), Targets: b.IDs("targets", c.rows), Scale: b.Scalar("scale")}, Head{Smoothing: 0.1})
		return b
	}
}

var (
	caseIDs = []int32{6, 0, 3, 3, 0, 3}
	// caseInts are inputs of integers. Of starts, the second sequence begins with padding.
	caseInts = map[string][]int32{"ids": caseIDs, "pos": {3, 0, 1, 0, 2, 2}, "starts": {0, 0, 2, 1, 1, 1}}
)

func (c opCase) feed(t *testing.T, m *Machine) {
	targets := make([]int32, c.rows)
	for i := range targets {
		targets[i] = int32((i*3 + 1) % classes)
	}
	if m.size("targets") > 0 {
		ok(t, m.SetInts("targets", targets), m.SetFloats("scale", 0.5))
	}
	for name, v := range caseInts {
		if m.size(name) > 0 {
			ok(t, m.SetInts(name, v))
		}
	}
}

// checkMemory compares planned memory, where every value is NaN as soon as nothing
// needs it, with memory of its own for each, over two runs that add up.
func (c opCase) checkMemory(t *testing.T, set *param.Set) {
	var mc [2]*Machine
	var grads [2]*param.Slab
	for i, o := range []LowerOptions{{poison: true, Recompute: RecomputeLight}, {private: true}} {
		grads[i] = set.NewSlab()
		o.Grads = grads[i]
		mc[i] = lowered(t, c.build(set)(true), o)
		c.feed(t, mc[i])
		ok(t, mc[i].RunAll(), mc[i].RunAll())
	}
	sameBits(t, mc[0], mc[1], grads[0], grads[1])
}

// checkONNX compares the operation with its ONNX form.
func (c opCase) checkONNX(t *testing.T, set *param.Set) {
	b := NewBuilder(set, BuildOptions{})
	b.Output("y", c.operation(b))
	mc := lowered(t, b, LowerOptions{})
	if len(mc.plan.Steps) == 0 {
		return // a parameter
	}
	c.feed(t, mc)
	ok(t, mc.RunAll())
	dims := []onnx.Dim{{Name: "rows"}}
	g, err := b.ONNX(ONNXOptions{DType: "F32", Output: "y", Dims: append(dims, onnx.Dim{Size: int64(c.width)}), Inputs: map[string]onnx.Value{"ids": {Name: "ids", Type: onnx.Int64, Dims: dims}}})
	if mc.size("starts") > 0 || mc.size("pos") > 0 { // such inputs are of training
		if !errors.Is(err, ErrONNX) {
			t.Errorf("ONNX with an input of documents or positions: %v, want ErrONNX", err)
		}
		return
	}
	ok(t, err)
	var file bytes.Buffer
	ok(t, g.Write(&file, ""))
	f, err := onnxtest.Read(bytes.NewReader(file.Bytes()), int64(file.Len()), nil)
	ok(t, err)
	ids := &onnxtest.Array{Shape: []int{len(caseIDs)}}
	for _, id := range caseIDs {
		ids.I = append(ids.I, int64(id))
	}
	out, err := f.Run(map[string]*onnxtest.Array{"ids": ids})
	ok(t, err)
	got, want := out["y"].F, mc.Output("y")
	if fmt.Sprint(out["y"].Shape) != fmt.Sprint([]int{c.rows, c.width}) {
		t.Fatalf("the ONNX form has shape %v, expected %d x %d", out["y"].Shape, c.rows, c.width)
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("value %d is %g in ONNX, %g in the machine", i, got[i], want[i])
		}
	}
}
