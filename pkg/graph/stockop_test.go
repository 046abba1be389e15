package graph

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestStockOperations: operations of every kind give the tape machine's numbers, run after
// run, in memory that is filled with NaN as soon as a value is dead.
func TestStockOperations(t *testing.T) {
	m := gorgonia.Must
	for name, build := range map[string]func(a, b, v, s *Node) *Node{
		"add":       func(a, b, _, _ *Node) *Node { return m(gorgonia.Add(a, b)) },
		"sub":       func(a, b, _, _ *Node) *Node { return m(gorgonia.Sub(a, b)) },
		"product":   func(a, b, _, _ *Node) *Node { return m(gorgonia.HadamardProd(a, b)) },
		"quotient":  func(a, b, _, _ *Node) *Node { return m(gorgonia.HadamardDiv(a, b)) },
		"by itself": func(a, _, _, _ *Node) *Node { x := m(gorgonia.Exp(a)); return m(gorgonia.HadamardProd(x, x)) },
		"in turn":   func(a, b, _, _ *Node) *Node { return m(gorgonia.Sub(m(gorgonia.Exp(a)), m(gorgonia.Tanh(b)))) },
		"second":    func(a, b, _, _ *Node) *Node { return m(gorgonia.Sub(b, m(gorgonia.Tanh(a)))) },
		"both": func(a, _, _, _ *Node) *Node {
			x := m(gorgonia.Tanh(a))
			return m(gorgonia.Sub(m(gorgonia.Square(x)), x))
		},
		"scalar":       func(a, _, _, s *Node) *Node { return m(gorgonia.Mul(s, a)) },
		"minus scalar": func(a, _, _, s *Node) *Node { return m(gorgonia.Sub(m(gorgonia.Tanh(a)), s)) },
		"scalar minus": func(a, _, _, s *Node) *Node { return m(gorgonia.Sub(s, m(gorgonia.Tanh(a)))) },
		"scalars":      func(_, _, _, s *Node) *Node { return m(gorgonia.Add(m(gorgonia.Tanh(s)), s)) },
		"greater":      func(a, b, _, _ *Node) *Node { return m(gorgonia.Gt(a, b, true)) },
		"matrices":     func(a, b, _, _ *Node) *Node { return m(gorgonia.Mul(a, m(gorgonia.Tanh(b)))) },
		"vector":       func(a, _, v, _ *Node) *Node { return m(gorgonia.Mul(a, v)) },
		"inner":        func(_, _, v, _ *Node) *Node { return m(gorgonia.Mul(v, m(gorgonia.Tanh(v)))) },
		"outer":        func(_, _, v, _ *Node) *Node { return m(gorgonia.OuterProd(v, m(gorgonia.Tanh(v)))) },
		"transpose": func(a, b, _, _ *Node) *Node {
			return m(gorgonia.Add(m(gorgonia.Transpose(m(gorgonia.Tanh(a)), 1, 0)), b))
		},
		"transposed": func(a, _, _, _ *Node) *Node { return m(gorgonia.Transpose(a, 1, 0)) },
		"softmax":    func(a, _, _, _ *Node) *Node { return m(gorgonia.SoftMax(a)) },
		"sum":        func(a, _, _, _ *Node) *Node { return m(gorgonia.Sum(m(gorgonia.Tanh(a)), 0)) },
		"broadcast":  func(a, _, v, _ *Node) *Node { return m(gorgonia.BroadcastAdd(m(gorgonia.Tanh(a)), v, nil, []byte{0})) },
		"slice":      func(a, _, _, _ *Node) *Node { return m(gorgonia.Tanh(m(gorgonia.Slice(a, gorgonia.S(1))))) },
		"column":     func(a, _, _, _ *Node) *Node { return m(gorgonia.Tanh(m(gorgonia.Slice(a, nil, gorgonia.S(1))))) },
		"reshape":    func(a, _, _, _ *Node) *Node { return m(gorgonia.Tanh(m(gorgonia.Reshape(a, tensor.Shape{16})))) },
	} {
		t.Run(name, func(t *testing.T) { checkStock(t, build) })
	}
}

// checkStock compares the value and its sum's gradients on both machines.
func checkStock(t *testing.T, build func(a, b, v, s *Node) *Node) {
	rng := rand.New(rand.NewPCG(7, 7))
	g := gorgonia.NewGraph()
	input := func(name string, shape ...int) *Node {
		v := make([]float32, tensor.Shape(shape).TotalSize())
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))))
	}
	a, b, v := input("a", 4, 4), input("b", 4, 4), input("v", 4)
	s := gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("s"), gorgonia.WithValue(float32(0.7)))
	y := build(a, b, v, s)
	w := Wrap(g)
	outputs := map[string]*Node{"y": y}
	cost := y
	if !y.IsScalar() {
		cost = gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(y))))
	}
	used := map[*Node]bool{}
	ancestors(g, cost, used)
	var wrt []*Node
	for _, in := range []*Node{a, b, v, s} {
		if used[in] {
			wrt = append(wrt, in)
		}
	}
	if grads, err := gorgonia.Grad(cost, wrt...); err == nil { // not all have gradients
		for i, in := range wrt {
			outputs["d"+in.Name()] = grads[i]
		}
	}
	reads := map[string]*gorgonia.Value{}
	for name, n := range outputs {
		w.Output(name, n)
		reads[name] = new(gorgonia.Value)
		gorgonia.Read(n, reads[name])
	}
	ours := lowered(t, w, LowerOptions{poison: true})
	tape := gorgonia.NewTapeMachine(g)
	defer tape.Close()
	for range 2 {
		ok(t, ours.RunAll(), tape.RunAll())
		for name, read := range reads {
			want, got := contiguous(*read), ours.Output(name)
			if len(got) != len(want) || len(got) == 0 {
				t.Fatalf("%s has %d values, expected %d", name, len(got), len(want))
			}
			for i := range want {
				if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5*(1+math.Abs(float64(want[i])))) {
					t.Fatalf("%s is %v, the tape machine's %v", name, got, want)
				}
			}
		}
		tape.Reset()
	}
}
