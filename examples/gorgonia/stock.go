package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
)

type size struct{ rows, in, hidden, classes int }

// input is a node with random values.
func input(g *gorgonia.ExprGraph, rng *rand.Rand, name string, scale float64, shape ...int) *gorgonia.Node {
	v := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range v {
		v[i] = float32(scale * rng.NormFloat64())
	}
	return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))))
}

// labels is a one-hot input: row i is of class i mod classes.
func labels(g *gorgonia.ExprGraph, rows, classes int) *gorgonia.Node {
	v := make([]float32, rows*classes)
	for i := range rows {
		v[i*classes+i%classes] = 1
	}
	return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, classes), gorgonia.WithName("labels"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, classes), tensor.WithBacking(v))))
}

// crossEntropy is the mean of -log p of the labels.
func crossEntropy(logits, labels *gorgonia.Node) *gorgonia.Node {
	p := gorgonia.Must(gorgonia.SoftMax(logits))
	hits := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(labels, p)), 1))
	return gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Log(hits))))))
}

// classifier has one hidden layer, and is differentiated by gorgonia.Grad.
func classifier(s size) (*gorgonia.ExprGraph, gorgonia.Nodes, error) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := gorgonia.NewGraph()
	x, y := input(g, rng, "x", 1, s.rows, s.in), labels(g, s.rows, s.classes)
	w1, bias := input(g, rng, "w1", 0.05, s.in, s.hidden), input(g, rng, "bias", 0.1, s.hidden)
	w2 := input(g, rng, "w2", 0.05, s.hidden, s.classes)
	h := gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(x, w1)), bias, nil, []byte{0}))
	cost := crossEntropy(gorgonia.Must(gorgonia.Mul(gorgonia.Must(gorgonia.Tanh(h)), w2)), y)
	grads, err := gorgonia.Grad(cost, w1, bias, w2)
	return g, append(gorgonia.Nodes{cost}, grads...), err
}

type comparison struct {
	difference      float64 // largest, of the loss and all gradients
	tape, machine   time.Duration
	values, planned int64 // bytes
}

// compare runs the same graph on Gorgonia's tape machine and on ours, in turn.
func compare(s size, pairs int) (r comparison, err error) {
	g, results, err := classifier(s)
	if err != nil {
		return r, err
	}
	reads := make([]gorgonia.Value, len(results))
	for i, n := range results {
		gorgonia.Read(n, &reads[i])
	}
	tape := gorgonia.NewTapeMachine(g)
	defer tape.Close()

	pool := kernel.NewPool(0)
	defer pool.Close()
	b := graph.Wrap(g)
	for _, n := range results {
		b.Output(n.Name(), n)
	}
	m, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return r, err
	}
	defer m.Close()

	var times [2][]time.Duration
	for range pairs {
		for i, vm := range []gorgonia.VM{tape, m} {
			begin := time.Now()
			if err := vm.RunAll(); err != nil {
				return r, err
			}
			times[i] = append(times[i], time.Since(begin))
			vm.Reset()
		}
	}
	for i, n := range results {
		for k, want := range floats(reads[i]) {
			r.difference = max(r.difference, math.Abs(float64(m.Output(n.Name())[k]-want)))
		}
	}
	r.tape, r.machine = median(times[0]), median(times[1])
	r.values, r.planned = held(g), m.Plan().ArenaBytes()
	return r, nil
}

// held is the memory of the values that the tape machine left in the graph, those that
// share theirs counted once.
func held(g *gorgonia.ExprGraph) (bytes int64) {
	seen := map[uintptr]bool{}
	for _, n := range g.AllNodes() {
		if v := n.Value(); v != nil && n.Op() != nil && !seen[v.Uintptr()] {
			seen[v.Uintptr()] = true
			bytes += int64(v.MemSize())
		}
	}
	return bytes
}

func floats(v gorgonia.Value) []float32 {
	if f, ok := v.Data().(float32); ok {
		return []float32{f}
	}
	return v.Data().([]float32)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
