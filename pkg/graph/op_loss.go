package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

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
	return tensor.ScalarShape(), nil
}

func (o headLoss) saved(in []tensor.Shape) int {
	n, e := rows(in[0])
	if o.train {
		return n + n*e
	}
	return n
}

func (o headLoss) run(c *call) {
	x, w := c.in[0], c.in[1]
	nll := c.saved[:x.rows]
	scale := c.in[3].f[0]
	var dx, bias, dbias []float32
	if o.train {
		dx = c.saved[x.rows:]
	}
	if o.bias {
		bias, dbias = c.in[4].f, c.deposits[4]
	}
	kernel.HeadLoss(c.pool, x.f, w.f, bias, c.in[2].ids, x.rows, x.cols, w.rows,
		kernel.HeadOptions{Scale: scale, Smoothing: o.smoothing, BF16: o.bf16}, nll, dx, c.deposits[1], dbias)
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
	dx, err := apply(headView{what: "dx", from: n, to: tensor.Shape{n, e}}, loss)
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
	what string
	from int
	to   tensor.Shape
}

func (o headView) name() string                               { return fmt.Sprintf("HeadLoss.%s%v", o.what, o.to) }
func (o headView) shape([]tensor.Shape) (tensor.Shape, error) { return o.to.Clone(), nil }
func (o headView) view([]tensor.Shape) int                    { return o.from }
func (o headView) readsSaved() (int, bool)                    { return 0, false }
func (o headView) run(*call)                                  {}

// headDeposit stands for a parameter gradient that headLoss adds to the slab itself.
type headDeposit struct{ operand int }

func (o headDeposit) name() string                                  { return fmt.Sprintf("HeadLoss.grad(%d)", o.operand) }
func (o headDeposit) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (o headDeposit) of() int                                       { return o.operand }
func (o headDeposit) run(*call)                                     {}
func (o headDeposit) alwaysAdds() bool                              { return true }
func (o headDeposit) readsSaved() (int, bool)                       { return 0, false }
