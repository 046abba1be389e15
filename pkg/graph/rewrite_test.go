package graph

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/param"
)

// columnMask multiplies each column of x [N, W] with 0 or 1: gates, some shut. keys
// identifies the mask.
func columnMask(keys string, mask []float32) *Op {
	return &Op{
		Name:  "Mask(" + keys + ")",
		Shape: sameShape(0),
		Run: func(c *Call) {
			for i, v := range c.In[0].F {
				c.Out[i] = v * mask[i%c.Cols]
			}
		},
		Overwrites: []int{0},
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(columnMask(keys, mask), dy)
			return gorgonia.Nodes{dx}, err
		},
	}
}

// shut is the gates of a cut: those of units that go are 0.
func (m *toy) shut(cut param.Cut) func(b *Builder, n *Node, dim string, col0, units, width int) *Node {
	return func(b *Builder, n *Node, dim string, col0, units, width int) *Node {
		keep, ok := cut[dim]
		if !ok {
			return n
		}
		mask := make([]float32, n.Shape()[1])
		for i := range mask {
			if i < col0 || i >= col0+units*width {
				mask[i] = 1
			}
		}
		per := m.set.Dim(dim).Size
		for list, l := range keep {
			for _, u := range l {
				for w := range width {
					mask[col0+(list*per+u)*width+w] = 1
				}
			}
		}
		return b.Apply(columnMask(fmt.Sprint(dim, keep), mask), n)
	}
}

// TestMaskingEqualsSlicing is the law of docs/method.md: gates at zero and the
// rewritten parameters give the same loss of every token, and the same gradients
// of what is kept.
func TestMaskingEqualsSlicing(t *testing.T) {
	for name, cut := range map[string]param.Cut{
		"qk":   {"0.qk": {{0, 2}, {1, 2}}, "1.qk": {{1}, {0}}},
		"vo":   {"0.vo": {{0, 1, 4}, {1, 2, 3}}, "1.vo": {{3, 4}, {0, 1}}},
		"ffn":  {"0.ffn": {{1, 2, 6}}, "1.ffn": {{0}}},
		"all":  {"0.qk": {{1}, {2}}, "1.vo": {{3, 4}, {0, 1}}, "0.ffn": {{1, 2, 6}}, "1.ffn": {{0, 5}}},
		"none": {},
	} {
		t.Run(name, func(t *testing.T) {
			m := newToy(t, "lg")
			m.gate = m.shut(cut)
			masked, grads := m.run(t, 1, LowerOptions{})
			nll := append([]float32(nil), masked.Output("nll")...)
			before := m.set.Count()
			seen := &recorder{}
			ok(t, Rewrite(m.set, cut, []*param.Slab{grads}, seen))
			if seen.cut == nil || len(cut) > 0 && m.set.Count() >= before {
				t.Fatalf("%d parameters after the cut, %d before; parallel data saw %v", m.set.Count(), before, seen.cut)
			}
			m.gate = nil
			sliced, got := m.run(t, 1, LowerOptions{Reuse: masked})
			for i, v := range sliced.Output("nll") {
				if d := math.Abs(float64(v - nll[i])); !(d <= 2e-6) {
					t.Errorf("row %d: loss %g masked, %g sliced", i, nll[i], v)
				}
			}
			size := 0.0
			for i, g := range got.Data {
				// Sums of some dozens of float32 products in another order.
				if d := math.Abs(float64(g - grads.Data[i])); !(d <= 1e-6+1e-5*math.Abs(float64(g))) {
					t.Fatalf("gradient %d: %g masked, %g sliced", i, grads.Data[i], g)
				}
				size += float64(g) * float64(g)
			}
			if size == 0 {
				t.Error("all gradients are 0")
			}
		})
	}
}

type recorder struct {
	cut param.Cut
	err error
}

func (r *recorder) Shrink(c param.Cut) error { r.cut = c; return r.err }

// TestRewriteRefuses: nothing changes when the cut does not fit, or something
// parallel to the parameters refuses.
func TestRewriteRefuses(t *testing.T) {
	m := newToy(t, "l")
	before := m.set.Count()
	r := &recorder{}
	if err := Rewrite(m.set, param.Cut{"0.ffn": {{99}}}, nil, r); !errors.Is(err, param.ErrCut) || r.cut != nil {
		t.Errorf("unit 99 of 7: %v; parallel data saw %v", err, r.cut)
	}
	if err := Rewrite(m.set, param.Cut{"0.ffn": {{1}}}, []*param.Slab{param.NewSlab(3)}, r); err == nil || r.cut != nil {
		t.Errorf("a slab of 3 values: %v; parallel data saw %v", err, r.cut)
	}
	r.err = errors.New("no")
	if err := Rewrite(m.set, param.Cut{"0.ffn": {{1}}}, nil, r); !errors.Is(err, r.err) {
		t.Errorf("error is %v", err)
	}
	if m.set.Count() != before {
		t.Errorf("%d parameters, %d before", m.set.Count(), before)
	}
}
