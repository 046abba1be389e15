package coupled_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestTryEqualsTheCut: the masked trial has the loss of the model that the
// improved cut leaves, and leaves no trace.
func TestTryEqualsTheCut(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	const B, T = 2, 6
	for name, sizes := range map[string]model.Sizes{
		"gpt2":  {Family: "gpt2", Layers: 2, Width: 12, Heads: 3, FFN: 9, Vocab: 9, Context: T},
		"llama": {Family: "llama", Layers: 2, Width: 16, Heads: 4, KVHeads: 2, FFN: 7, Vocab: 9, Context: T},
	} {
		m, err := model.New(sizes)
		if err != nil {
			t.Fatal(err)
		}
		fresh := func() *param.Set {
			set, err := param.New(m.Specs())
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range set.Weights.Data {
				set.Weights.Data[i] = float32(rng.NormFloat64()) * 0.5
			}
			return set
		}
		rng := rand.New(rand.NewPCG(3, 4))
		loss := func(set *param.Set) float64 {
			b := graph.NewBuilder(set, graph.BuildOptions{})
			m.Loss(b, B, T, 0)
			mc, err := b.Lower(graph.LowerOptions{Pool: pool})
			if err != nil {
				t.Fatal(err)
			}
			ids := []int32{1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3}
			for _, err := range []error{mc.SetInts("ids", ids), mc.SetInts("targets", ids), mc.SetFloats("scale", 1.0/(B*T)), mc.RunAll()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			return float64(mc.Output("loss")[0])
		}
		set := fresh()
		e := coupled.NewEvidence(set, coupled.Options{Compensation: true, Gains: true, Scale: 0.5})
		for _, s := range e.Sites() {
			x := make([]float32, 40*s.Cols)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			if err := e.Observe(s.Name, x, 2, 20); err != nil {
				t.Fatal(err)
			}
		}
		cuts := map[string]param.Cut{"kinds": {}, "head": {"layer.0.kv": {{1}}}, "both": {"layer.1.kv": {{0}}}}
		for _, g := range coupled.Groups(set) {
			if g.Kind == coupled.Head || g.Units < 2 {
				continue
			}
			var keep param.Keep
			for l := range g.Lists {
				keep = append(keep, []int{l % (g.Units - 1), g.Units - 1})
			}
			cuts["kinds"][g.Dim] = keep
			if g.Layer == 1 {
				cuts["both"][g.Dim] = keep
			}
		}
		for what, cut := range cuts {
			improve := coupled.DefaultImprove()
			before := slices.Clone(set.Weights.Data)
			var tried float64
			if err := improve.Try(set, e, cut, func() error { tried = loss(set); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, set.Weights.Data) {
				t.Errorf("%s %s: the trial changed the weights", name, what)
			}
			sliced := fresh()
			if err := improve.Apply(sliced, e, cut); err != nil {
				t.Fatal(err)
			}
			if err := sliced.Shrink(cut); err != nil {
				t.Fatal(err)
			}
			if want := loss(sliced); math.Abs(tried-want) > 1e-5*want {
				t.Errorf("%s %s: the trial's loss is %g, the cut model's %g", name, what, tried, want)
			}
			if dense := loss(set); math.Abs(dense-tried) < 1e-3 {
				t.Errorf("%s %s: the cut does not show in the loss: %g and %g", name, what, dense, tried)
			}
		}
		broken := errors.New("broken")
		before := slices.Clone(set.Weights.Data)
		if err := coupled.DefaultImprove().Try(set, e, cuts["kinds"], func() error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%s: the error became %v", name, err)
		}
		if !slices.Equal(before, set.Weights.Data) {
			t.Errorf("%s: the weights were not put back after an error", name)
		}
	}
}
