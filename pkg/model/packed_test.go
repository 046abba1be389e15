package model_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestPackedEqualsSeparate: documents packed into two sequences with padding have the
// losses of each document by itself, the sum of their gradients and of their gates'.
func TestPackedEqualsSeparate(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		if m.Arch() == nil || !m.Arch().Causal {
			t.Skip("not a decoder")
		}
		b := newBench(t, m)
		rng := rand.New(rand.NewPCG(7, 7))
		packed := [][]int{{3, 2}, {4, 2}} // lengths, in sequences of 6
		whole := data.Batch{
			N: formB, IDs: make([]int32, formB*formT), Targets: make([]int32, formB*formT),
			Starts: slices.Repeat([]int32{formT}, formB*formT), Positions: make([]int32, formB*formT),
		}
		for i := range whole.Targets {
			whole.Targets[i] = -1
		}
		var losses []float64
		var grads []float64
		gates := map[string][]float64{}
		for row, lengths := range packed {
			at := row * formT
			for _, n := range lengths {
				one := data.Batch{N: 1, IDs: make([]int32, n), Targets: make([]int32, n)}
				for i := range n {
					one.IDs[i], one.Targets[i] = rng.Int32N(int32(m.Vocab())), rng.Int32N(int32(m.Vocab()))
					whole.IDs[at+i], whole.Targets[at+i] = one.IDs[i], one.Targets[i]
					whole.Starts[at+i], whole.Positions[at+i] = int32(at-row*formT), int32(i)
				}
				at += n
				mc := b.packed(t, one, n)
				losses = append(losses, nats(mc, one)...)
				grads = plus(grads, b.grads.Data)
				for name := range mc.Outputs() {
					if len(name) > 5 && name[:5] == "gate:" {
						gates[name] = plus(gates[name], mc.Output(name))
					}
				}
			}
		}
		mc := b.packed(t, whole, formT)
		sameNumbers(t, "losses", nats(mc, whole), losses, 1e-4)
		sameNumbers(t, "gradients", plus(nil, b.grads.Data), grads, 2e-3)
		for name, want := range gates {
			got := mc.Output(name)
			units := len(got) / formB
			sum := plus(plus(nil, got[:units]), got[units:])
			sameNumbers(t, name, sum, want, 2e-3)
		}
		if len(gates) == 0 {
			t.Fatal("no gates are compared")
		}
	})
}

// packed runs a batch of sequences of T tokens, documents where it says so.
func (b *bench) packed(t *testing.T, batch data.Batch, T int) *graph.Machine {
	t.Helper()
	g := graph.NewBuilder(b.set, graph.BuildOptions{Train: true, Documents: batch.Packed()})
	b.m.Loss(g, batch.N, T, 0)
	clear(b.grads.Data)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool, Grads: b.grads, Taps: true})
	if err == nil {
		t.Cleanup(func() { mc.Close() })
		err = batch.Feed(mc, 1)
	}
	if err == nil {
		err = mc.RunAll()
	}
	if err != nil {
		t.Fatal(err)
	}
	return mc
}

// nats is the losses of the tokens that count.
func nats(mc *graph.Machine, b data.Batch) (out []float64) {
	for i, x := range mc.Output("nll") {
		if b.Targets[i] >= 0 {
			out = append(out, float64(x))
		}
	}
	return out
}

func plus(sum []float64, x []float32) []float64 {
	if sum == nil {
		sum = make([]float64, len(x))
	}
	for i, v := range x {
		sum[i] += float64(v)
	}
	return sum
}

// sameNumbers holds two vectors against each other, relative to the largest element.
func sameNumbers(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, expected %d", what, len(got), len(want))
	}
	top := 1e-3
	for _, w := range want {
		top = math.Max(top, math.Abs(w))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > tol*top {
			t.Fatalf("%s: element %d is %g, separate documents have %g", what, i, got[i], want[i])
		}
	}
}
