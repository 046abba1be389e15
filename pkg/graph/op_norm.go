package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// LayerNorm normalises rows of x [N, E] with the block [gain E | bias E]: (N, E).
func (b *Builder) LayerNorm(x, gainBias *Node, eps float32) *Node {
	return b.apply(layerNorm{eps}, x, gainBias)
}

// RMSNorm normalises rows of x [N, E] with gain [E]: (N, E).
func (b *Builder) RMSNorm(x, gain *Node, eps float32) *Node { return b.apply(rmsNorm{eps}, x, gain) }

// layerNorm is y = (x - mean)·rstd·gain + bias over each row; operands x [N, E]
// and the block [gain E | bias E]. It saves mean [N] and rstd [N].
type layerNorm struct{ eps float32 }

func (o layerNorm) name() string { return fmt.Sprintf("LayerNorm(%g)", o.eps) }

func (o layerNorm) shape(in []tensor.Shape) (tensor.Shape, error) {
	if _, e := rows(in[0]); in[1].TotalSize() != 2*e {
		return nil, fmt.Errorf("gain and bias have %d values, expected %d", in[1].TotalSize(), 2*e)
	}
	return in[0].Clone(), nil
}

func (o layerNorm) saved(in []tensor.Shape) []int { n, _ := rows(in[0]); return []int{n, n} }
func (o layerNorm) light()                        {}

func (o layerNorm) run(c *call) {
	x, e := c.in[0], c.cols
	kernel.LayerNormForward(c.pool, c.out, c.saved[0], c.saved[1], x.f, c.in[1].f[:e], c.in[1].f[e:], c.rows, e, o.eps)
}

func (o layerNorm) diffs(n int) []bool { return allTrue(n) }

func (o layerNorm) backward(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	return normBackward(layerNormBackward{}, layerNormGrad{}, in, y, dy)
}

// normBackward makes the gradients of a norm's operands, x and its parameters;
// both read the row statistics that the node y saved, not y itself.
func normBackward(dx, dp kernelOp, in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	p, err := apply(dp, dy, in[0], y, in[1])
	if err != nil {
		return nil, err
	}
	x, err := apply(dx, dy, in[0], y, in[1])
	return gorgonia.Nodes{x, p}, err
}

// fromNorm is what the operations of a norm's backward pass have in common;
// operands dy, x, the norm's node, its parameters.
type fromNorm struct{}

func (fromNorm) readsSaved() (int, bool) { return 2, false }

type layerNormBackward struct{ fromNorm }

func (layerNormBackward) name() string                                  { return "LayerNormBackward" }
func (layerNormBackward) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (layerNormBackward) overwrites() []int                             { return []int{0} }
func (layerNormBackward) run(c *call) {
	s := c.in[2].saved
	kernel.LayerNormBackward(c.pool, c.out, c.in[0].f, c.in[1].f, c.in[3].f[:c.cols], s[0], s[1], c.rows, c.cols)
}

type layerNormGrad struct{ fromNorm }

func (layerNormGrad) name() string                                  { return "LayerNormGrad" }
func (layerNormGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[3].Clone(), nil }
func (layerNormGrad) alwaysAdds() bool                              { return true }
func (layerNormGrad) run(c *call) {
	dy, s := c.in[0], c.in[2].saved
	kernel.LayerNormGrad(c.pool, c.out[:dy.cols], c.out[dy.cols:], dy.f, c.in[1].f, s[0], s[1], dy.rows, dy.cols)
}

// rmsNorm is y = x·rstd·gain over each row (https://arxiv.org/abs/1910.07467);
// operands x [N, E] and gain [E]. It saves rstd [N].
type rmsNorm struct{ eps float32 }

func (o rmsNorm) name() string { return fmt.Sprintf("RMSNorm(%g)", o.eps) }

func (o rmsNorm) shape(in []tensor.Shape) (tensor.Shape, error) {
	if _, e := rows(in[0]); in[1].TotalSize() != e {
		return nil, fmt.Errorf("gain has %d values, expected %d", in[1].TotalSize(), e)
	}
	return in[0].Clone(), nil
}

func (o rmsNorm) saved(in []tensor.Shape) []int { n, _ := rows(in[0]); return []int{n} }
func (o rmsNorm) light()                        {}

func (o rmsNorm) run(c *call) {
	kernel.RMSNormForward(c.pool, c.out, c.saved[0], c.in[0].f, c.in[1].f, c.rows, c.cols, o.eps)
}

func (o rmsNorm) diffs(n int) []bool { return allTrue(n) }

func (o rmsNorm) backward(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	return normBackward(rmsNormBackward{}, rmsNormGrad{}, in, y, dy)
}

type rmsNormBackward struct{ fromNorm }

func (rmsNormBackward) name() string                                  { return "RMSNormBackward" }
func (rmsNormBackward) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (rmsNormBackward) overwrites() []int                             { return []int{0} }
func (rmsNormBackward) run(c *call) {
	kernel.RMSNormBackward(c.pool, c.out, c.in[0].f, c.in[1].f, c.in[3].f, c.in[2].saved[0], c.rows, c.cols)
}

type rmsNormGrad struct{ fromNorm }

func (rmsNormGrad) name() string                                  { return "RMSNormGrad" }
func (rmsNormGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[3].Clone(), nil }
func (rmsNormGrad) alwaysAdds() bool                              { return true }
func (rmsNormGrad) run(c *call) {
	dy := c.in[0]
	kernel.RMSNormGrad(c.pool, c.out, dy.f, c.in[1].f, c.in[2].saved[0], dy.rows, dy.cols)
}
