package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// pairProducts is the products of the QK and VO pairs of all heads of a layer of GPT-2's kind, in
// which all heads have one query head: [heads, width, width] each.
func pairProducts(set *param.Set, layer int) (out []float64) {
	for _, roles := range [][2]param.Role{{param.Q, param.K}, {param.V, param.O}} {
		a, b := set.LayerParam(layer, roles[0]), set.LayerParam(layer, roles[1])
		e := a.Dims[len(a.Dims)-1].Size
		heads := a.Dims[0].Size
		units := a.Size() / e / heads
		for h := range heads {
			p := make([]float64, e*e)
			for u := range units {
				x, y := a.Data()[(h*units+u)*e:][:e], b.Data()[(h*units+u)*e:][:e]
				for i, v := range x {
					for j, w := range y {
						p[i*e+j] += float64(v) * float64(w)
					}
				}
			}
			out = append(out, p...)
		}
	}
	return out
}

// apart is the norm of the difference of two.
func apart(a, b []float64) (sum float64) {
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

// TestMuonCrossesABasis: after an orthogonal change of basis, in which momentum and gradient are
// carried along, a step of muon is the step of the old basis, to rounding: the pairs' products
// come out the same. After one that is not orthogonal it is another step, as it must be. Biases,
// which AdamW moves, start anew.
func TestMuonCrossesABasis(t *testing.T) {
	m, err := model.New(model.Sizes{Family: "gpt2", Layers: 1, Width: 32, Heads: 4, FFN: 16, Vocab: 17, Context: 8})
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	config := optim.Default()
	config.Name, config.LR, config.Clip = "muon", 0.05, 0
	// stepped is the products before and after a step, with a change of basis before it or without.
	stepped := func(equal, change bool) (before, after []float64) {
		set, err := param.New(m.Specs())
		if err != nil {
			t.Fatal(err)
		}
		defer set.Weights.Close()
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range set.Weights.Data {
			set.Weights.Data[i] = 0.3 * float32(rng.NormFloat64())
		}
		if equal { // both sides of a pair have the same moments: the balanced basis is orthogonal
			copy(set.LayerParam(0, param.K).Data(), set.LayerParam(0, param.Q).Data())
			copy(set.LayerParam(0, param.O).Data(), set.LayerParam(0, param.V).Data())
			copy(set.LayerParam(0, param.K.Bias()).Data(), set.LayerParam(0, param.Q.Bias()).Data())
			clear(set.LayerParam(0, param.V.Bias()).Data())
		}
		o := optim.New(set, config)
		defer optim.Close(o)
		grads := set.NewSlab()
		defer grads.Close()
		for _, s := range []*param.Slab{grads, o.Slabs()[0].Slab, o.Slabs()[1].Slab} {
			for i := range s.Data {
				s.Data[i] = float32(math.Abs(rng.NormFloat64()))
			}
		}
		before = pairProducts(set, 0)
		if change {
			momenta := config.Momenta(o.Slabs())
			if len(momenta) != 1 {
				t.Fatalf("muon has %d slabs of momenta", len(momenta))
			}
			if _, err := coupled.ChangeBasis(set, nil, coupled.BasisSVD, append(momenta, grads)); err != nil {
				t.Fatal(err)
			}
			optim.CrossBasis(o.Slabs(), coupled.Mixed(set))
			bias, norm := set.LayerParam(0, param.V.Bias()), set.Params[len(set.Params)-1]
			for _, p := range []*param.Param{bias, o.Slabs()[1].Layout.Param(bias.Name)} {
				of := o.Slabs()[0].Slab
				if p != bias {
					of = o.Slabs()[1].Slab
				}
				if p.In(of)[0] != 0 {
					t.Errorf("a moment of %s is %g, expected 0", p.Name, p.In(of)[0])
				}
			}
			if norm.In(o.Slabs()[0].Slab)[0] == 0 {
				t.Errorf("the moment of %s is gone", norm.Name)
			}
			if d := apart(pairProducts(set, 0), before); d > 1e-3 {
				t.Errorf("the products moved by %g", d)
			}
		}
		o.Update(optim.Step{Pool: pool, Set: set, Grads: grads, LR: config.LR})
		return before, pairProducts(set, 0)
	}
	for _, equal := range []bool{true, false} {
		before, old := stepped(equal, false)
		_, now := stepped(equal, true)
		moved, differ := apart(before, old), apart(old, now)
		if equal && differ > 2e-3*moved || !equal && differ < 0.05*moved {
			t.Errorf("orthogonal %t: products move by %g and differ by %g", equal, moved, differ)
		}
	}
	for _, name := range []string{"adamw", "apollo"} {
		c := config
		c.Name = name
		set, err := param.New(m.Specs())
		if err != nil {
			t.Fatal(err)
		}
		o := optim.New(set, c)
		if got := c.Momenta(o.Slabs()); got != nil {
			t.Errorf("%s has momenta that follow a change of basis", name)
		}
		optim.Close(o)
		set.Weights.Close()
	}
}
