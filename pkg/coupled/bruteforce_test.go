package coupled_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestFisherAgainstBruteForce: fisher and taylor from gates that ride along with a
// batch are what explicit gates give, sequence by sequence, by finite differences
// of the loss: all families, all kinds, multi-head, grouped and multi-query.
func TestFisherAgainstBruteForce(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	const B, T = 3, 5
	for name, sizes := range map[string]model.Sizes{
		"gpt2":              {Family: "gpt2", Layers: 1, Width: 6, Heads: 2, FFN: 4, Vocab: 9, Context: T},
		"llama":             {Family: "llama", Layers: 1, Width: 8, Heads: 2, FFN: 3, Vocab: 9, Context: T},
		"llama grouped":     {Family: "llama", Layers: 1, Width: 8, Heads: 4, KVHeads: 2, HeadDim: 4, FFN: 3, Vocab: 9, Context: T},
		"llama multi-query": {Family: "llama", Layers: 1, Width: 8, Heads: 2, KVHeads: 1, FFN: 3, Vocab: 9, Context: T},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := model.New(sizes)
			if err != nil {
				t.Fatal(err)
			}
			set, err := param.New(m.Specs())
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for _, p := range set.Params {
				for i := range p.Data() {
					p.Data()[i] = float32(rng.NormFloat64()) * 0.7
				}
			}
			ids, targets := make([]int32, B*T), make([]int32, B*T)
			for i := range ids {
				ids[i], targets[i] = rng.Int32N(9), rng.Int32N(9)
			}
			machine := func(b int, grads *param.Slab) *graph.Machine {
				g := graph.NewBuilder(set, graph.BuildOptions{Train: grads != nil})
				m.Loss(g, b, T, 0)
				mc, err := g.Lower(graph.LowerOptions{Pool: pool, Grads: grads, Taps: grads != nil})
				if err != nil {
					t.Fatal(err)
				}
				return mc
			}
			run := func(mc *graph.Machine, n, b int) float64 {
				for _, err := range []error{
					mc.SetInts("ids", ids[n*T:(n+b)*T]), mc.SetInts("targets", targets[n*T:(n+b)*T]),
					mc.SetFloats("scale", 1/float32(b*T)), mc.RunAll(),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				sum := 0.0
				for _, x := range mc.Output("nll") {
					sum += float64(x)
				}
				return sum / float64(b*T)
			}
			batch := machine(B, set.NewSlab())
			run(batch, 0, B)
			e := coupled.NewEvidence(set, coupled.Options{})
			for _, dim := range e.Gates() {
				if err := e.Add(dim, batch.Output("gate:"+dim), B); err != nil {
					t.Fatal(err)
				}
			}
			groups := coupled.Groups(set)
			ctx := &coupled.Context{Set: set, Evidence: e}
			fisher, err := coupled.Score("fisher", ctx, groups)
			if err != nil {
				t.Fatal(err)
			}
			taylor, err := coupled.Score("taylor", ctx, groups)
			if err != nil {
				t.Fatal(err)
			}
			one := machine(1, nil)
			for _, g := range groups {
				for l := range g.Lists {
					for u := range g.Units {
						mean, square := 0.0, 0.0
						for n := range B {
							r := slope(func(z float32) float64 {
								defer gate(set, g, l, u, z)()
								return run(one, n, 1)
							})
							mean += r / B
							square += r * r / B
						}
						// Losses near 3 in float32, differences over 0.2: 2e-6 in each slope.
						if got := fisher[g.Dim][l][u]; math.Abs(got-square) > 1e-3*square+2e-5*math.Sqrt(square)+1e-9 {
							t.Errorf("fisher of %s list %d unit %d is %g, finite differences give %g", g, l, u, got, square)
						}
						if got := taylor[g.Dim][l][u]; math.Abs(got-math.Abs(mean)) > 1e-3*math.Abs(mean)+2e-5 {
							t.Errorf("taylor of %s list %d unit %d is %g, finite differences give %g", g, l, u, got, math.Abs(mean))
						}
					}
				}
			}
		})
	}
}

// slope is the derivative of f at 1, by differences of fourth order.
func slope(f func(z float32) float64) float64 {
	const h = 1.0 / 16
	return (8*(f(1+h)-f(1-h)) - (f(1+2*h) - f(1-2*h))) / (12 * h)
}

// gate puts a gate of value z on a unit by scaling what only passes through it: k
// and its bias, v and its bias, the row of out or down, or a head's rows of o. It
// returns what undoes it.
func gate(set *param.Set, g coupled.Group, list, unit int, z float32) (undo func()) {
	names := map[coupled.Kind][]string{
		coupled.QK: {"k", "k_bias"}, coupled.VO: {"v", "v_bias"}, coupled.FFN: {"out", "down"}, coupled.Head: {"o"},
	}[g.Kind]
	saved := append([]float32(nil), set.Weights.Data...)
	for _, name := range names {
		p := set.Param(strings.TrimSuffix(g.Dim, g.Dim[strings.LastIndexByte(g.Dim, '.')+1:]) + name)
		if p == nil {
			continue
		}
		// The units of these parameters lie one behind the other, list after list.
		n := p.Size() / (g.Lists * g.Units)
		for i := range n {
			p.Data()[(list*g.Units+unit)*n+i] *= z
		}
	}
	return func() { copy(set.Weights.Data, saved) }
}
