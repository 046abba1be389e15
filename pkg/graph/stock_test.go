package graph

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// logistic is a logistic regression in Gorgonia's own operations:
//
//	p = σ(x·w + b),  cost = mean(-y·log p - (1-y)·log(1-p)) + 0.1·mean(w²)
//
// with the gradients of w and b.
func logistic(t *testing.T) (g *gorgonia.ExprGraph, outputs map[string]*Node, w *Node) {
	const n, d = 12, 4
	rng := rand.New(rand.NewPCG(1, 1))
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	g = gorgonia.NewGraph()
	input := func(name string, shape ...int) *Node {
		v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values(tensor.Shape(shape).TotalSize())))
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
	}
	x, w := input("x", n, d), input("w", d)
	y := input("y", n)
	for i, v := range y.Value().Data().([]float32) {
		y.Value().Data().([]float32)[i] = float32(math.Round(1 / (1 + math.Exp(-float64(v)))))
	}
	bias := gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("b"), gorgonia.WithValue(float32(0.3)))
	m := func(n *Node, err error) *Node { ok(t, err); return n }
	one := gorgonia.NewConstant(float32(1))
	p := m(gorgonia.Sigmoid(m(gorgonia.Add(m(gorgonia.Mul(x, w)), bias))))
	left := m(gorgonia.HadamardProd(y, m(gorgonia.Log(p))))
	right := m(gorgonia.HadamardProd(m(gorgonia.Sub(one, y)), m(gorgonia.Log(m(gorgonia.Sub(one, p))))))
	cost := m(gorgonia.Neg(m(gorgonia.Mean(m(gorgonia.Add(left, right))))))
	cost = m(gorgonia.Add(cost, m(gorgonia.Mul(gorgonia.NewConstant(float32(0.1)), m(gorgonia.Mean(m(gorgonia.Square(w))))))))
	grads, err := gorgonia.Grad(cost, w, bias)
	ok(t, err)
	return g, map[string]*Node{"cost": cost, "p": p, "dw": grads[0], "db": grads[1]}, w
}

// TestStockGraph: a graph of Gorgonia's own operations gives the tape machine's
// numbers, also after an input was bound to another value.
func TestStockGraph(t *testing.T) {
	g, outputs, w := logistic(t)
	b := Wrap(g)
	reads := map[string]*gorgonia.Value{} // the tape machine overwrites what nobody reads
	for name, n := range outputs {
		b.Output(name, n)
		reads[name] = new(gorgonia.Value)
		gorgonia.Read(n, reads[name])
	}
	ours := lowered(t, b, LowerOptions{})
	tape := gorgonia.NewTapeMachine(g)
	defer tape.Close()
	for range 3 {
		ok(t, ours.RunAll(), tape.RunAll())
		for name, read := range reads {
			want, got := floats(t, *read), ours.Output(name)
			if len(got) != len(want) || len(got) == 0 {
				t.Fatalf("%s has %d values, expected %d", name, len(got), len(want))
			}
			for i := range want {
				// Both run the same operations; a sum may go in another order.
				if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-6*(1+math.Abs(float64(want[i])))) {
					t.Errorf("%s[%d] is %g, the tape machine's %g", name, i, got[i], want[i])
				}
			}
		}
		step := append([]float32(nil), floats(t, w.Value())...)
		for i, d := range ours.Output("dw") {
			step[i] -= 0.5 * d
		}
		before := ours.Output("cost")[0]
		ok(t, gorgonia.Let(w, tensor.New(tensor.WithShape(len(step)), tensor.WithBacking(step))), ours.RunAll())
		if after := ours.Output("cost")[0]; !(after < before) {
			t.Errorf("a step down the gradient leads from %g to %g", before, after)
		}
		tape.Reset()
	}
}

func floats(t *testing.T, v gorgonia.Value) []float32 {
	t.Helper()
	switch d := v.Data().(type) {
	case float32:
		return []float32{d}
	case []float32:
		return d
	}
	t.Fatalf("value is %T", v.Data())
	return nil
}

func TestStockErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName("x"), gorgonia.WithShape(3), gorgonia.WithInit(gorgonia.Ones()))
	b := Wrap(g)
	b.Output("y", gorgonia.Must(gorgonia.Add(x, x)))
	mc := lowered(t, b, LowerOptions{})
	if err := mc.RunAll(); err == nil || !strings.Contains(err.Error(), "expected float32") {
		t.Errorf("float64: %v", err)
	}
	g = gorgonia.NewGraph()
	unset := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithName("unset"), gorgonia.WithShape(3))
	b = Wrap(g)
	b.Output("y", gorgonia.Must(gorgonia.Add(unset, unset)))
	if err := lowered(t, b, LowerOptions{}).RunAll(); err == nil || !strings.Contains(err.Error(), `"unset" has no value`) {
		t.Errorf("an unset input: %v", err)
	}
}

// TestTapeMachineIsTold: this package's operations refuse Gorgonia's own machine
// with an error that says where they run.
func TestTapeMachineIsTold(t *testing.T) {
	m := newToy(t, "l")
	b := m.build(false)
	vm := gorgonia.NewTapeMachine(b.g)
	defer vm.Close()
	if err := vm.RunAll(); err == nil {
		t.Error("the tape machine ran")
	}
}
