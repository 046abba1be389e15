package coupled

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestHeadGateIsTheSumOfItsUnits: dL/dz of a gate on the head's context is the
// sum over the head's vo units, sequence by sequence, before squaring.
func TestHeadGateIsTheSumOfItsUnits(t *testing.T) {
	s := sizes{layers: 1, kv: 2, r: 1, qk: 1, vo: 2, ffn: 1, embed: 1}.set(t)
	e := NewEvidence(s, Options{})
	if err := e.Add("layer.0.vo", []float32{1, 2, 3, -3, 1, 1, 5, 5}, 1); err != nil {
		t.Fatal(err)
	}
	h := e.gates["layer.0.kv"]
	if h.weight != 2 || h.sum[0] != 5 || h.sum[1] != 10 || h.square[0] != 9+4 || h.square[1] != 100 {
		t.Errorf("head gates are %+v, expected sums 5, 10 and squares 13, 100", h)
	}
	if err := e.Add("layer.0.kv", []float32{1, 2}, 1); err == nil {
		t.Error("gates of heads were accepted, although they follow from vo")
	}
}

// TestDecayHalvesInAHalfLife: after h steps the weight of what was seen is half,
// and means are weighted means.
func TestDecayHalvesInAHalfLife(t *testing.T) {
	s := sizes{layers: 1, kv: 1, r: 1, qk: 1, vo: 1, ffn: 1, embed: 1}.set(t)
	e := NewEvidence(s, Options{Squares: true, Activations: true})
	if err := e.Add("layer.0.ffn", []float32{4}, 1); err != nil {
		t.Fatal(err)
	}
	watch(t, e, 1, 1, 1)
	before := bits(e)
	for range 20 {
		e.Decay(DecayFactor(20))
	}
	if w := e.Sequences("layer.0.ffn"); math.Abs(w-0.5) > 1e-12 {
		t.Errorf("weight after a half-life is %g, expected 0.5", w)
	}
	for i, b := range bits(e) {
		if was, is := math.Float64frombits(before[i]), math.Float64frombits(b); was > 1e-300 && math.Abs(is/was-0.5) > 1e-6 {
			t.Errorf("statistic %d went from %g to %g, expected half", i, was, is)
		}
	}
	// r = 4 with weight 1/2 and r = 1 with weight 1: mean square (16/2 + 1) / 1.5
	if err := e.Add("layer.0.ffn", []float32{1}, 1); err != nil {
		t.Fatal(err)
	}
	sc, err := Score("fisher", &Context{Set: s, Evidence: e}, Groups(s)[2:3])
	if err != nil {
		t.Fatal(err)
	}
	if got := sc["layer.0.ffn"][0][0]; math.Abs(got-6) > 1e-12 {
		t.Errorf("fisher is %g, expected 6", got)
	}
	if DecayFactor(0) != 1 {
		t.Error("a half-life of 0 steps decays")
	}
}

// TestShrinkEqualsNeverHavingSeen: evidence that was cut is the evidence that
// watching only the kept units would have given.
func TestShrinkEqualsNeverHavingSeen(t *testing.T) {
	for name, z := range map[string]sizes{"rope": small, "bias": gpt} {
		t.Run(name, func(t *testing.T) {
			set := z.set(t)
			all := func(l ...int) param.Keep {
				k := param.Keep{}
				for range z.kv {
					k = append(k, l)
				}
				return k
			}
			cut := param.Cut{
				"layer.0.qk": all(0, 2), "layer.0.vo": all(1, 2, 4), "layer.0.ffn": {{1, 5, 6, 9}},
				"layer.1.kv": {{1}}, "layer.1.vo": all(0, 3),
			}
			// Different units in different heads.
			cut["layer.0.qk"][1], cut["layer.0.vo"][1] = []int{1, 3}, []int{0, 1, 3}
			whole := NewEvidence(set, everything)
			cutSet := z.set(t)
			if err := cutSet.Shrink(cut); err != nil {
				t.Fatal(err)
			}
			part := NewEvidence(cutSet, everything)
			rng := rand.New(rand.NewPCG(1, 1))
			layout := map[string]Group{}
			for _, g := range Groups(set) {
				layout[g.Dim] = g
			}
			lists := func(dim string, g Group) []int {
				if k, ok := cut[g.Per]; ok && g.Per != "" {
					return k[0]
				}
				return upTo(g.Lists)
			}
			kept := func(g Group, l int) []int {
				if k, ok := cut[g.Dim]; ok {
					return k[l]
				}
				return upTo(g.Units)
			}
			noise := func(n int) []float32 {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				return x
			}
			for dim, g := range layout {
				// Sums over a head's units differ once units go, so vo is
				// given gates that are zero where the cut takes them.
				if g.Kind == Head {
					continue
				}
				for range 3 {
					r := noise(g.Lists * g.Units)
					var less []float32
					stays := make([]bool, len(r))
					for _, l := range lists(dim, g) {
						for _, u := range kept(g, l) {
							less = append(less, r[l*g.Units+u])
							stays[l*g.Units+u] = true
						}
					}
					for i := range r {
						if !stays[i] && g.Kind == VO {
							r[i] = 0
						}
					}
					if err := whole.Add(dim, r, 1.5); err != nil {
						t.Fatal(err)
					}
					if err := part.Add(dim, less, 1.5); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Activations, but not attention scores: their probabilities change with
			// the pairs, see TestScoreStatShrinks.
			for n, s := range whole.sites {
				p := part.sites[n]
				s.scores, p.scores = nil, nil
				qk, vo, ffn := layout[param.InLayer(n, "qk")], layout[param.InLayer(n, "vo")], layout[param.InLayer(n, "ffn")]
				pick := func(x []float32, g Group, group, pair int) []float32 {
					var out []float32
					row := g.Lists * group * g.Units * pair
					for at := 0; at < len(x); at += row {
						for _, l := range lists(g.Dim, g) {
							for r := range group {
								for _, u := range kept(g, l) {
									from := at + ((l*group+r)*g.Units+u)*pair
									out = append(out, x[from:from+pair]...)
								}
							}
						}
					}
					return out
				}
				const rows = 5
				for _, m := range []struct {
					whole, part *moment
					g           Group
					group, pair int
				}{{s.q, p.q, qk, z.r, s.pair}, {s.k, p.k, qk, 1, s.pair}, {s.ctx, p.ctx, vo, z.r, 1}, {s.ffn, p.ffn, ffn, 1, 1}} {
					if m.whole == nil {
						continue
					}
					x := noise(rows * len(m.whole.sum))
					m.whole.add(x, rows, len(m.whole.sum), addProduct)
					y := pick(x, m.g, m.group, m.pair)
					if m.g.Kind == FFN {
						y = pick(x, Group{Kind: FFN, Dim: m.g.Dim, Lists: 1, Units: m.g.Units}, 1, 1)
					}
					m.part.add(y, rows, len(m.part.sum), addProduct)
				}
			}
			if err := whole.Shrink(cut); err != nil {
				t.Fatal(err)
			}
			if err := set.Shrink(cut, whole.Slabs()...); err != nil {
				t.Fatal(err)
			}
			a, b := bits(whole), bits(part)
			if !equalBits(a, b) {
				t.Errorf("%d statistics of the cut evidence differ from those that watching the kept units gives (%d)", len(a), len(b))
			}
		})
	}
}

func TestEvidenceRefuses(t *testing.T) {
	s := small.set(t)
	e := NewEvidence(s, Options{})
	nan := float32(math.NaN())
	for name, err := range map[string]error{
		"unknown":     e.Add("layer.9.qk", []float32{1}, 1),
		"length":      e.Add("layer.0.qk", make([]float32, 7), 1),
		"nothing":     e.Add("layer.0.qk", nil, 1),
		"not finite":  e.Add("layer.0.qk", []float32{1, 2, 3, nan, 5, 6, 7, 8}, 1),
		"no squares":  e.AddGradients(s.NewSlab(), 1),
		"no site":     e.Observe("layer.0.ctx", make([]float32, 20), 1, 1),
		"cut unknown": e.Shrink(param.Cut{"layer.9.qk": {{0}}}),
		"cut lists":   e.Shrink(param.Cut{"layer.0.qk": {{0}}}),
		"cut range":   e.Shrink(param.Cut{"layer.0.ffn": {{12}}}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i, b := range bits(e) {
		if b != 0 {
			t.Fatalf("statistic %d changed although everything was refused", i)
		}
	}
}

// TestSizeDoesNotGrow: the evidence is as large after many sequences as before.
func TestSizeDoesNotGrow(t *testing.T) {
	s := small.set(t)
	e := seen(t, s, everything, 1, 1)
	before := len(bits(e))
	watch(t, e, 8, 16, 2)
	if after := len(bits(e)); after != before {
		t.Errorf("%d statistics after more sequences, %d before", after, before)
	}
}
