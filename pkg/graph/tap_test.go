package graph

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestGateIdentities checks the two identities of docs/method.md, "Coupled
// estimation": a unit's gate gradient is the inner product of either partner's
// rows with their gradients.
func TestGateIdentities(t *testing.T) {
	m := newToy(t, "lglg")
	mc, grads := m.run(t, 1, LowerOptions{Taps: true})
	for i := range m.style {
		l := fmt.Sprint(i)
		for kind, sides := range map[string][][]string{
			".qk":  {{l + ".q", l + ".bq"}, {l + ".k", l + ".bk"}},
			".vo":  {{l + ".v", l + ".bv"}, {l + ".o"}},
			".ffn": {{l + ".down", l + ".out"}},
		} {
			r := mc.Output("gate:" + l + kind)
			units := len(r) / m.b
			for _, side := range sides {
				got := make([]float64, units)
				for _, name := range side {
					if p := m.set.Param(name); p != nil {
						addUnits(got, p, l+kind, grads)
					}
				}
				for u := range got {
					want := 0.0
					for b := range m.b {
						want += float64(r[b*units+u])
					}
					// Sums of about a hundred float32 products of size 0.1.
					if !(math.Abs(got[u]-want) <= 1e-5) {
						t.Errorf("%s unit %d: gate %g, %v give %g", l+kind, u, want, side, got[u])
					}
				}
			}
		}
	}
}

// addUnits adds <w, g> of every unit of dimension dim of p, units numbered
// across the K/V heads.
func addUnits(sum []float64, p *param.Param, dim string, grads *param.Slab) {
	inner, outer, at := 1, 1, -1
	for i, d := range p.Dims {
		if d.Name == dim {
			at = i
		}
	}
	for i, d := range p.Dims {
		if i > at {
			inner *= d.Size
		} else if i > 0 && i < at {
			outer *= d.Size // the query heads of a K/V head
		}
	}
	units := p.Dims[at].Size
	for i, w := range p.Data() {
		u := i / inner % units
		if at > 0 {
			u += i / (inner * units * outer) * units
		}
		sum[u] += float64(w) * float64(p.In(grads)[i])
	}
}

// TestTapsAreFree: a graph lowered without taps has no gate, and the same gradients.
func TestTapsAreFree(t *testing.T) {
	m := newToy(t, "lg")
	a, ga := m.run(t, 1, LowerOptions{})
	b, gb := m.run(t, 1, LowerOptions{Taps: true})
	if n := len(b.Outputs()) - len(a.Outputs()); n != 6 {
		t.Errorf("taps add %d outputs, expected 6", n)
	}
	sameBits(t, a, b, ga, gb)
	if d := len(b.Plan().Steps) - len(a.Plan().Steps); d != 6 {
		t.Errorf("taps add %d steps, expected 6", d)
	}
}

// TestObserve: a site's value is shown in a run, in evaluation and training.
func TestObserve(t *testing.T) {
	m := newToy(t, "ll")
	seen := map[string]float64{}
	watch := func(site string, x []float32, rows, cols int) error {
		if rows != m.b*m.t || cols != m.g*m.r*m.vo || len(x) != rows*cols {
			t.Errorf("%s is %d x %d in %d values", site, rows, cols, len(x))
		}
		for _, v := range x {
			seen[site] += float64(v) * float64(v)
		}
		return nil
	}
	mc := lowered(t, m.build(false), LowerOptions{Observe: watch, poison: true})
	m.feed(t, mc)
	ok(t, mc.RunAll())
	a := seen
	if len(a) != 2 || !(a["0.ctx"] > 0) || !(a["1.ctx"] > 0) || a["0.ctx"] == a["1.ctx"] {
		t.Fatalf("squares by site are %v", a)
	}
	for _, r := range []Recompute{KeepAll, RecomputeLayer} {
		seen = map[string]float64{}
		m.run(t, 1, LowerOptions{Observe: watch, Recompute: r})
		if fmt.Sprint(seen) != fmt.Sprint(a) {
			t.Errorf("recompute %d: in training squares are %v, in evaluation %v", r, seen, a)
		}
	}
	seen = map[string]float64{}
	ids := mc.ints["ids"].v
	mc = lowered(t, m.build(false), LowerOptions{Observe: watch, SitesOnly: true})
	ok(t, mc.SetInts("ids", ids), mc.RunAll())
	if fmt.Sprint(seen) != fmt.Sprint(a) || len(mc.Outputs()) != 0 {
		t.Errorf("sites alone: squares are %v, with the loss %v; outputs %v", seen, a, mc.Outputs())
	}
	want := errors.New("enough")
	mc = lowered(t, m.build(false), LowerOptions{Observe: func(string, []float32, int, int) error { return want }})
	m.feed(t, mc)
	if err := mc.RunAll(); !errors.Is(err, want) {
		t.Errorf("the observer's error became %v", err)
	}
}
