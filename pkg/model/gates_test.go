package model_test

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestGatesAreTheUnitsGradients: the gate of a unit has the gradient sum <w, dw> over
// the rows of its partner on one side, of both sides where a norm stands between q
// and k and the gate (the gain of that norm follows its units and has no gate).
func TestGatesAreTheUnitsGradients(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		b := newBench(t, m)
		b.run(t)
		for i := range b.set.Layers() {
			normed := b.set.LayerParam(i, param.QNorm) != nil
			for _, kind := range []param.Kind{param.QK, param.VO, param.FFN} {
				d := b.set.LayerDim(i, kind)
				if d.Size == 0 {
					continue
				}
				lists := max(1, b.set.Dim(d.Per).Size)
				want := make([]float64, lists*d.Size)
				for _, p := range b.set.Params {
					for at, x := range p.Dims {
						if x.Name == d.Name && (x.Side == param.SideB || normed && kind == param.QK && x.Side == param.SideA) {
							addUnits(want, p, at, d, b.grads)
						}
					}
				}
				got := make([]float64, len(want))
				for k, r := range b.mc.Output("gate:" + d.Name) {
					got[k%len(got)] += float64(r)
				}
				for u, w := range want {
					if math.Abs(got[u]-w) > 2e-5*math.Max(1, math.Abs(w)) {
						t.Fatalf("%s unit %d: gate %g, its rows give %g", d.Name, u, got[u], w)
					}
				}
			}
		}
	})
}

// addUnits adds <w, dw> of every element of p to its unit of dimension `at`.
func addUnits(sum []float64, p *param.Param, at int, d param.Dim, grads *param.Slab) {
	inner := 1
	for _, x := range p.Dims[at+1:] {
		inner *= x.Size
	}
	heads := p.Size() / p.Dims[0].Size // elements of a K/V head, where lists are of heads
	for i, w := range p.Data() {
		u := i / inner % d.Size
		if d.Per != "" {
			u += i / heads * d.Size
		}
		sum[u] += float64(w) * float64(p.In(grads)[i])
	}
}
