package graph

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// HeadLoss is scale times the summed cross-entropy of logits x·wᵀ + bias against
// targets: a scalar. x is [N, E], w [V, E], bias [V] or nil, targets [N] (negative:
// ignored), smoothing the share of each target spread over the vocabulary.
// It adds the outputs "loss" and "nll" (each row's loss in nats, [N]).
func (b *Builder) HeadLoss(x, w, bias, targets, scale *Node, smoothing float32) *Node {
	in := []*Node{x, w, targets, scale}
	if bias != nil {
		in = append(in, bias)
	}
	loss := b.apply(headLoss{smoothing: smoothing, train: b.train, bias: bias != nil, bf16: b.bf16}, in...)
	if b.err != nil {
		return nil
	}
	n, _ := rows(x.Shape())
	b.Output("loss", loss)
	b.Output("nll", b.apply(headView{part: 0, to: tensor.Shape{n}}, loss))
	return loss
}

// headLoss is the language-model head with its cross-entropy, a scalar:
// scale times the summed loss of the rows whose target is not negative.
// Operands: x [N, E], w [V, E], targets [N], scale, and bias [V] if there is one.
//
// It saves the rows' losses nll [N] and, in training, dx [N, E]: the gradients
// are made from the same logits, which never exist whole. dw (and dbias) go
// straight to where the machine wants them.
type headLoss struct {
	smoothing         float32
	train, bias, bf16 bool
}

func (o headLoss) name() string {
	return fmt.Sprintf("HeadLoss(smoothing %g train %t bf16 %t)", o.smoothing, o.train, o.bf16)
}

func (o headLoss) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	if v, w := rows(in[1]); w != e {
		return nil, fmt.Errorf("x is %d wide, the head %d x %d", e, v, w)
	}
	if in[2].TotalSize() != n {
		return nil, fmt.Errorf("%d targets for %d rows", in[2].TotalSize(), n)
	}
	if v, _ := rows(in[1]); o.bias && in[4].TotalSize() != v {
		return nil, fmt.Errorf("bias has %d values, expected %d", in[4].TotalSize(), v)
	}
	return tensor.ScalarShape(), nil
}

func (o headLoss) saved(in []tensor.Shape) []int {
	n, e := rows(in[0])
	if o.train {
		return []int{n, n * e}
	}
	return []int{n}
}

func (o headLoss) scratch(in []tensor.Shape) int {
	n, _ := rows(in[0])
	v, _ := rows(in[1])
	return kernel.HeadScratch(n, v)
}

func (o headLoss) intRange(in []tensor.Shape) (int, int32, int32) {
	v, _ := rows(in[1])
	return 2, math.MinInt32, int32(v)
}

func (o headLoss) run(c *call) {
	x, w := c.in[0], c.in[1]
	nll := c.saved[0]
	scale := c.in[3].f[0]
	var dx, bias, dbias []float32
	if o.train {
		dx = c.saved[1]
	}
	if o.bias {
		bias, dbias = c.in[4].f, c.deposits[4]
	}
	kernel.HeadLoss(c.pool, x.f, w.f, bias, c.in[2].ids, x.rows, x.cols, w.rows,
		kernel.HeadOptions{Scale: scale, Smoothing: o.smoothing, BF16: o.bf16, Scratch: c.scratch}, nll, dx, c.deposits[1], dbias)
	sum := 0.0
	for _, l := range nll {
		sum += float64(l)
	}
	c.out[0] = float32(sum * float64(scale))
}

// flops counts the logits, and in training the two products of the gradients,
// which this operation makes as well.
func (o headLoss) flops(in []tensor.Shape, _ tensor.Shape) int64 {
	n, e := rows(in[0])
	v, _ := rows(in[1])
	f := 2 * int64(n) * int64(e) * int64(v)
	if o.train {
		f *= 3
	}
	return f
}

func (o headLoss) diffs(n int) []bool { return []bool{true, true, false, false, true}[:n] }

var errNotRoot = errors.New("graph: the loss must be what is differentiated")

func (o headLoss) backward(in gorgonia.Nodes, loss, dout *Node) (gorgonia.Nodes, error) {
	if v, ok := dout.Value().(gorgonia.Scalar); !ok || v.Data() != float32(1) || !o.train {
		return nil, errNotRoot
	}
	n, e := rows(in[0].Shape())
	dx, err := apply(headView{part: 1, to: tensor.Shape{n, e}}, loss)
	if err != nil {
		return nil, err
	}
	dw, err := apply(headDeposit{1}, loss, in[1])
	if err != nil {
		return nil, err
	}
	grads := gorgonia.Nodes{dx, dw, nil, nil}
	if o.bias {
		db, err := apply(headDeposit{4}, loss, in[4])
		if err != nil {
			return nil, err
		}
		grads = append(grads, db)
	}
	return grads, nil
}

// headView is a part of what headLoss saved.
type headView struct {
	part int // 0 is nll, 1 dx
	to   tensor.Shape
}

func (o headView) name() string {
	return fmt.Sprintf("HeadLoss.%s(%v)", []string{"nll", "dx"}[o.part], o.to)
}
func (o headView) shape([]tensor.Shape) (tensor.Shape, error) { return o.to.Clone(), nil }
func (o headView) view() int                                  { return o.part }
func (o headView) run(*call)                                  {}

// headDeposit stands for a parameter gradient that headLoss adds to the slab itself.
type headDeposit struct{ operand int }

func (o headDeposit) name() string                                  { return fmt.Sprintf("HeadLoss.grad(%d)", o.operand) }
func (o headDeposit) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (o headDeposit) of() int                                       { return o.operand }
func (o headDeposit) run(*call)                                     {}
func (o headDeposit) alwaysAdds() bool                              { return true }
func (o headDeposit) readsSaved() (int, bool)                       { return 0, false }
