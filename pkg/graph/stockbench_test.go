package graph

import (
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel/blas"
)

// perceptron is a classifier of two layers in Gorgonia's own operations, with the
// gradients of its weights: n rows of d values, h hidden units, c classes.
func perceptron(tb testing.TB, n, d, h, c int) (g *gorgonia.ExprGraph, outputs map[string]*Node) {
	rng := rand.New(rand.NewPCG(1, 1))
	g = gorgonia.NewGraph()
	input := func(name string, scale float64, shape ...int) *Node {
		v := make([]float32, tensor.Shape(shape).TotalSize())
		for i := range v {
			v[i] = float32(scale * rng.NormFloat64())
		}
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))))
	}
	m := func(n *Node, err error) *Node { tb.Helper(); ok(tb, err); return n }
	x, y := input("x", 1, n, d), input("y", 1, n, c)
	clear(y.Value().Data().([]float32))
	for i := range n {
		y.Value().Data().([]float32)[i*c+i%c] = 1
	}
	w1, b1, w2 := input("w1", 0.1, d, h), input("b1", 0.1, h), input("w2", 0.1, h, c)
	hidden := m(gorgonia.Tanh(m(gorgonia.BroadcastAdd(m(gorgonia.Mul(x, w1)), b1, nil, []byte{0}))))
	p := m(gorgonia.SoftMax(m(gorgonia.Mul(hidden, w2))))
	cost := m(gorgonia.Neg(m(gorgonia.Mean(m(gorgonia.HadamardProd(y, m(gorgonia.Log(p))))))))
	grads, err := gorgonia.Grad(cost, w1, b1, w2)
	ok(tb, err)
	return g, map[string]*Node{"cost": cost, "dw1": grads[0], "db1": grads[1], "dw2": grads[2]}
}

// BenchmarkStock compares the machine with the tape machine on Gorgonia's own operations,
// products by kernel/blas on both.
func BenchmarkStock(b *testing.B) {
	UseBLAS(blas.New(0))
	for _, s := range []struct {
		name       string
		n, d, h, c int
	}{{"small", 64, 256, 512, 10}, {"large", 128, 512, 1024, 10}} {
		b.Run(s.name+"/tape", func(b *testing.B) {
			g, outputs := perceptron(b, s.n, s.d, s.h, s.c)
			for _, n := range outputs {
				gorgonia.Read(n, new(gorgonia.Value))
			}
			vm := gorgonia.NewTapeMachine(g)
			defer vm.Close()
			b.ReportAllocs()
			for b.Loop() {
				ok(b, vm.RunAll())
				vm.Reset()
			}
		})
		b.Run(s.name+"/machine", func(b *testing.B) {
			g, outputs := perceptron(b, s.n, s.d, s.h, s.c)
			w := Wrap(g)
			for name, n := range outputs {
				w.Output(name, n)
			}
			mc := lowered(b, w, LowerOptions{})
			b.ReportAllocs()
			for b.Loop() {
				ok(b, mc.RunAll())
			}
		})
	}
}
