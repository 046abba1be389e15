package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Shape is attention's: see kernel.AttnShape.
type Shape = kernel.AttnShape

func attnName(s Shape) string {
	name := fmt.Sprintf("B %d T %d G %d R %d qk %d vo %d scale %g causal %t", s.B, s.T, s.G, s.R, s.QK, s.VO, s.Scale, s.Causal)
	if s.Window > 0 {
		name += fmt.Sprintf(" window %d", s.Window)
	}
	if s.SoftCap > 0 {
		name += fmt.Sprintf(" cap %g", s.SoftCap)
	}
	return name
}

func checkQKV(in tensor.Shape, s Shape) error {
	if s.B < 1 || s.T < 1 || s.G < 1 || s.R < 1 || s.QK < 1 || s.VO < 1 {
		return errors.New("sizes are not all positive")
	}
	if n, w := MatrixShape(in); n != s.B*s.T || w != s.Width() {
		return fmt.Errorf("q, k, v are %d x %d, expected %d x %d", n, w, s.B*s.T, s.Width())
	}
	return nil
}

// Attention is softmax attention over rows of q, k, v: (B·T, G·R·VO). starts, nil or
// integers [B·T], packs documents and padding in sequences: see
// kernel.AttentionForward.
func (b *Builder) Attention(qkv, starts *Node, s Shape) *Node {
	if starts == nil {
		return b.Apply(b.rounded(attention(s, false)), qkv)
	}
	return b.Apply(b.rounded(attention(s, true)), qkv, starts)
}

// optionalIDs is operand i's integers, nil where there is no such operand.
func (c *Call) optionalIDs(i int) []int32 {
	if i < len(c.In) {
		return c.In[i].IDs
	}
	return nil
}

// attention is softmax(scale·q·kᵀ)·v over rows of q, k, v side by side; operands q,
// k, v and, where it is bounded, starts. It saves the log-sum-exp of each query,
// [B·H·T].
func attention(s Shape, bounded bool) *Op {
	op := &Op{
		Name: "Attention(" + attnName(s) + ")",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if bounded && in[1].TotalSize() != s.B*s.T {
				return nil, fmt.Errorf("%d starts for %d tokens", in[1].TotalSize(), s.B*s.T)
			}
			return tensor.Shape{s.B * s.T, s.G * s.R * s.VO}, checkQKV(in[0], s)
		},
		Run: func(c *Call) {
			kernel.AttentionForward(c.Pool, c.out(), c.Saved[0], c.In[0].rows(), c.optionalIDs(1), s)
		},
		ReadsBF16: []int{0},
		Saves:     func([]tensor.Shape) []int { return []int{s.B * s.G * s.R * s.T} },
		FLOPs:     func([]tensor.Shape, tensor.Shape) int64 { return attentionFLOPs(s) },
		Backward: func(in gorgonia.Nodes, ctx, dctx *Node) (gorgonia.Nodes, error) {
			operands := append(gorgonia.Nodes{in[0], ctx, dctx}, in[1:]...)
			grads := make(gorgonia.Nodes, len(in))
			var err error
			grads[0], err = Apply(attentionBackward(s), operands...)
			return grads, err
		},
		ONNX: func(x *ONNX) string { return attentionONNX(x, s) },
	}
	if bounded {
		op.IDs = func([]tensor.Shape) IDs { return IDs{1, 0, int32(s.T + 1)} }
		op.NoGradient = []int{1}
		op.Check = func(c *Call) error { return s.CheckStarts(c.In[1].IDs) }
		op.ONNX = nil
	}
	return op
}

// attentionFLOPs counts the scores and the context; causal attention needs half of
// each, and a window what lies in it. Documents are not known before a run: without
// them is the most that there can be.
func attentionFLOPs(s Shape) int64 {
	n := 2 * int64(s.B) * int64(s.G) * int64(s.R) * int64(s.T) * int64(s.T) * int64(s.QK+s.VO)
	keys := int64(s.T) // of a token, twice as many as it needs where that is causal
	if s.Window > 0 {
		reach := int64(s.Window)
		if s.Causal {
			reach *= 2
		}
		keys = min(keys, reach)
	}
	n = n / int64(s.T) * keys
	if s.Causal {
		n /= 2
	}
	return n
}

// attentionBackward is the gradient of q, k, v; operands q, k, v, the context, its
// gradient, and starts where there are. It counts what the gradients need, twice the forward pass: recomputing the
// scores is the kernel's own affair.
func attentionBackward(s Shape) *Op {
	return &Op{
		Name:  "AttentionBackward(" + attnName(s) + ")",
		Shape: sameShape(0),
		Run: func(c *Call) {
			kernel.AttentionBackward(c.Pool, c.Out, c.In[2].F, c.In[1].rows(), c.In[1].Saved[0], c.In[0].rows(), c.optionalIDs(3), s)
		},
		ReadsBF16: []int{0, 1},
		SavedOf:   []int{1},
		FLOPs:     func([]tensor.Shape, tensor.Shape) int64 { return 2 * attentionFLOPs(s) },
	}
}
