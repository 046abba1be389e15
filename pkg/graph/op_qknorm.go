package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// QKNorm is the settings of a norm of queries and keys: see kernel.QKNorm.
type QKNorm = kernel.QKNorm

// QKNorm normalises the queries and keys in rows of q, k, v (see Shape): (B·T, Width).
// qgain and kgain have a gain for each column of a head, [QK], or of each K/V head,
// [G·QK]; qgain perhaps of each query head, [G·R·QK].
func (b *Builder) QKNorm(qkv, qgain, kgain *Node, s Shape, o QKNorm) *Node {
	return b.Apply(qkNorm(s, o), qkv, qgain, kgain)
}

func qkNormName(s Shape, o QKNorm) string {
	return fmt.Sprintf("%s eps %g all %t plus one %t over %d", attnName(s), o.Eps, o.AllHeads, o.PlusOne, o.Over)
}

// qkNorm is Builder.QKNorm. It saves the statistics of each row.
func qkNorm(s Shape, o QKNorm) *Op {
	return &Op{
		Name: "QKNorm(" + qkNormName(s, o) + ")",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			q, k := in[1].TotalSize(), in[2].TotalSize()
			if q != s.QK && q != s.G*s.QK && q != s.G*s.R*s.QK || k != s.QK && k != s.G*s.QK {
				return nil, fmt.Errorf("%d gains of queries and %d of keys for %d query and %d K/V heads of %d columns", q, k, s.G*s.R, s.G, s.QK)
			}
			if o.Over < 0 || o.AllHeads && o.Over%s.R != 0 {
				return nil, fmt.Errorf("a mean over %d columns of %d query heads a K/V head", o.Over, s.R)
			}
			return in[0].Clone(), checkQKV(in[0], s)
		},
		Run: func(c *Call) {
			kernel.QKNormForward(c.Pool, c.Out, c.Saved[0], c.In[0].rows(), c.In[1].F, c.In[2].F, s, o)
		},
		Saves:     func([]tensor.Shape) []int { return []int{s.B * s.T * o.Stats(&s)} },
		ReadsBF16: []int{0},
		Light:     true,
		Backward: func(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			var grads gorgonia.Nodes
			for i, op := range []*Op{qkNormBackward(s, o), qkNormGrad(s, o, false), qkNormGrad(s, o, true)} {
				operands := gorgonia.Nodes{dy, in[0], y, in[1], in[2]}
				if i > 0 {
					operands = gorgonia.Nodes{dy, in[0], y, in[i]}
				}
				g, err := Apply(op, operands...)
				if err != nil {
					return nil, err
				}
				grads = append(grads, g)
			}
			return grads, nil
		},
		ONNX: func(x *ONNX) string { return qkNormONNX(x, s, o) },
	}
}

// qkNormBackward is dx; operands dy, x, the norm's node and the gains.
func qkNormBackward(s Shape, o QKNorm) *Op {
	return &Op{
		Name:  "QKNormBackward(" + qkNormName(s, o) + ")",
		Shape: sameShape(0),
		Run: func(c *Call) {
			kernel.QKNormBackward(c.Pool, c.Out, c.In[0].F, c.In[1].rows(), c.In[3].F, c.In[4].F, c.In[2].Saved[0], s, o)
		},
		SavedOf:    []int{2},
		Unread:     []int{2},
		Overwrites: []int{0},
		ReadsBF16:  []int{1},
	}
}

// qkNormGrad is the gradient of the gains of queries, or of keys; operands dy, x, the
// norm's node and these gains.
func qkNormGrad(s Shape, o QKNorm, keys bool) *Op {
	return &Op{
		Name:  fmt.Sprintf("QKNormGrad(%s keys %t)", qkNormName(s, o), keys),
		Shape: sameShape(3),
		Run: func(c *Call) {
			q, k := c.Out, []float32(nil)
			if keys {
				q, k = k, q
			}
			kernel.QKNormGrad(c.Pool, q, k, c.In[0].F, c.In[1].rows(), c.In[2].Saved[0], s, o)
		},
		SavedOf:   []int{2},
		Unread:    []int{2},
		ReadsBF16: []int{1},
		Adds:      AlwaysAdds,
	}
}

// qkNormONNX cuts q, k and v, divides the heads [G, R, QK] of q and k (whose R is 1) by
// the roots of their mean squares, and joins them again.
func qkNormONNX(x *ONNX, s Shape, o QKNorm) string {
	cut := x.Sizes(x.In(0), int64(s.G*s.R*s.QK), int64(s.G*s.QK), int64(s.G*s.VO))
	out := []string{"", "", cut[2]}
	for i, r := range []int{s.R, 1} {
		count := s.QK
		if o.AllHeads {
			count = s.G * r * s.QK
		}
		over := count
		if o.Over > 0 {
			over = o.Over
			if o.AllHeads {
				over = o.Over / s.R * r
			}
		}
		v := x.Reshape(cut[i], -1, int64(s.G), int64(r), int64(s.QK))
		squares := x.Mul(v, v)
		if o.AllHeads {
			squares = x.Reshape(squares, -1, 1, 1, int64(count))
		}
		mean := x.Node("ReduceMean", []string{squares}, Attr("axes", []int64{-1}), Attr("keepdims", 1))
		if over != count {
			mean = x.Mul(mean, x.Number(float64(count)/float64(over)))
		}
		gain := x.In(1 + i)
		if o.PlusOne {
			gain = x.Add(gain, x.Number(1))
		}
		switch n := x.Cols(1 + i); {
		case n == s.G*r*s.QK:
			gain = x.Reshape(gain, int64(s.G), int64(r), int64(s.QK))
		case n == s.G*s.QK:
			gain = x.Reshape(gain, int64(s.G), 1, int64(s.QK))
		}
		y := x.Mul(x.Div(v, x.Node("Sqrt", []string{x.Add(mean, x.Number(float64(o.Eps)))})), gain)
		out[i] = x.Reshape(y, -1, int64(s.G*r*s.QK))
	}
	return x.Node("Concat", out, Attr("axis", 1))
}
