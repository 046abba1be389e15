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
// It adds the outputs "loss" and "nll" (each row's loss in nats, [N]). A second
// one in the same graph adds to "loss"; its rows are "nll.2", and so on.
func (b *Builder) HeadLoss(x, w, bias, targets, scale *Node, smoothing float32) *Node {
	if (b.states || b.teacher != nil) && b.inputs["teacher"] != nil {
		b.Fail(errors.New("graph: a model with two heads neither teaches nor learns from a teacher"))
		return nil
	}
	switch {
	case b.states:
		b.inputs["teacher"] = x // a second head is refused
		b.Output("states", x)
		return x
	case b.teacher != nil && b.err == nil:
		n, _ := rows(x.Shape())
		return b.DistillLoss(x, w, bias, targets, scale, smoothing, b.Floats("teacher", n, b.teacherWidth), b.teacher)
	}
	return b.headLoss(headLoss{smoothing: smoothing}, x, w, bias, targets, scale, nil)
}

// Teacher is a model over the same vocabulary that DistillLoss learns from. Its
// last hidden states come from a machine of its own, run on the same batch.
type Teacher struct {
	W           []float32 // its head [V, E'], E' its own width
	Bias        []float32 // [V], or nil
	Temperature float32   // softens both distributions; 1 leaves them
	Weight      float32   // share of the teacher's term in the loss, 0 to 1
}

// DistillLoss is HeadLoss with a teacher, whose hidden states are the input
// hidden [N, E']: scale times the sum of (1-Weight)·nll + Weight·kl, see
// kernel.DistillLoss. It adds the output "kl" ([N], nats) to those of HeadLoss.
func (b *Builder) DistillLoss(x, w, bias, targets, scale *Node, smoothing float32, hidden *Node, t *Teacher) *Node {
	if b.err == nil && (t == nil || hidden == nil || !(t.Temperature > 0) || !(t.Weight >= 0 && t.Weight <= 1)) {
		b.Fail(errors.New("graph: DistillLoss: expected a teacher with hidden states, a temperature above 0 and a weight of 0 to 1"))
	}
	return b.headLoss(headLoss{smoothing: smoothing, teacher: t}, x, w, bias, targets, scale, hidden)
}

func (b *Builder) headLoss(o headLoss, x, w, bias, targets, scale, hidden *Node) *Node {
	o.train, o.bias, o.bf16 = b.train, bias != nil, b.bf16
	in := []*Node{x, w, targets, scale}
	for _, n := range []*Node{bias, hidden} {
		if n != nil {
			in = append(in, n)
		}
	}
	loss := b.apply(o, in...)
	if b.err != nil {
		return nil
	}
	b.losses++
	number := ""
	if b.losses > 1 {
		number = fmt.Sprintf(".%d", b.losses)
	}
	n, _ := rows(x.Shape())
	b.Output("nll"+number, b.apply(headView{partNLL, tensor.Shape{n}}, loss))
	if o.teacher != nil {
		b.Output("kl"+number, b.apply(headView{partKL, tensor.Shape{n}}, loss))
	}
	for i, out := range b.outputs {
		if out.name == "loss" {
			loss = b.Add(out.node, loss)
			b.outputs[i].node = loss
			return loss
		}
	}
	b.Output("loss", loss)
	return loss
}

// headLoss is the language-model head with its cross-entropy, a scalar:
// scale times the summed loss of the rows whose target is not negative.
// Operands: x [N, E], w [V, E], targets [N], scale, then bias [V] and a teacher's
// hidden states [N, E'] where there are any.
//
// It saves the rows' losses and, in training, dx [N, E]: the gradients are made
// from the same logits, which never exist whole. dw (and dbias) go straight to
// where the machine wants them.
type headLoss struct {
	smoothing         float32
	train, bias, bf16 bool
	teacher           *Teacher
}

// The parts that headLoss saves.
const (
	partNLL = iota // [N]
	partKL         // [N] with a teacher
	partDX         // [N, E] in training
)

func (o headLoss) name() string {
	s := fmt.Sprintf("HeadLoss(smoothing %g train %t bf16 %t", o.smoothing, o.train, o.bf16)
	if o.teacher != nil {
		s += fmt.Sprintf(" teacher %p", o.teacher)
	}
	return s + ")"
}

func (o headLoss) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	v, w := rows(in[1])
	if w != e {
		return nil, fmt.Errorf("x is %d wide, the head %d x %d", e, v, w)
	}
	if in[2].TotalSize() != n {
		return nil, fmt.Errorf("%d targets for %d rows", in[2].TotalSize(), n)
	}
	if in[3].TotalSize() != 1 {
		return nil, fmt.Errorf("scale has %d values, expected 1", in[3].TotalSize())
	}
	if o.bias && in[4].TotalSize() != v {
		return nil, fmt.Errorf("bias has %d values, expected %d", in[4].TotalSize(), v)
	}
	if t := o.teacher; t != nil {
		if m, w := rows(in[len(in)-1]); m != n || len(t.W) != v*w || t.Bias != nil && len(t.Bias) != v {
			return nil, fmt.Errorf("the teacher has %d rows of %d, a head of %d values and a bias of %d; expected %d rows and a vocabulary of %d", m, w, len(t.W), len(t.Bias), n, v)
		}
	}
	return tensor.ScalarShape(), nil
}

func (o headLoss) saved(in []tensor.Shape) []int {
	n, e := rows(in[0])
	parts := []int{partNLL: n, partKL: 0, partDX: 0}
	if o.teacher != nil {
		parts[partKL] = n
	}
	if o.train {
		parts[partDX] = n * e
	}
	return parts
}

func (o headLoss) scratch(in []tensor.Shape) int {
	n, _ := rows(in[0])
	v, _ := rows(in[1])
	if o.teacher != nil {
		return kernel.DistillScratch(n, v)
	}
	return kernel.HeadScratch(n, v)
}

func (o headLoss) intRange(in []tensor.Shape) (int, int32, int32) {
	v, _ := rows(in[1])
	return 2, math.MinInt32, int32(v)
}

func (o headLoss) run(c *call) {
	x, w := c.in[0], c.in[1]
	nll, kl := c.saved[partNLL], c.saved[partKL]
	scale := c.in[3].f[0]
	var dx, bias, dbias []float32
	if o.train {
		dx = c.saved[partDX]
	}
	if o.bias {
		bias, dbias = c.in[4].f, c.deposits[4]
	}
	ho := kernel.HeadOptions{Scale: scale, Smoothing: o.smoothing, BF16: o.bf16, Fresh: c.fresh, Scratch: c.scratch}
	hard, soft := 0.0, 0.0
	if t := o.teacher; t != nil {
		h := c.in[len(c.in)-1]
		kernel.DistillLoss(c.pool, x.f, w.f, bias, c.in[2].ids, x.rows, x.cols, w.rows, ho,
			kernel.Teacher{X: h.f, W: t.W, Bias: t.Bias, E: h.cols, Temperature: t.Temperature, Weight: t.Weight}, nll, kl, dx, c.deposits[1], dbias)
		hard, soft = 1-float64(t.Weight), float64(t.Weight)
	} else {
		kernel.HeadLoss(c.pool, x.f, w.f, bias, c.in[2].ids, x.rows, x.cols, w.rows, ho, nll, dx, c.deposits[1], dbias)
		hard = 1
	}
	sum := 0.0
	for _, l := range nll {
		sum += hard * float64(l)
	}
	for _, l := range kl {
		sum += soft * float64(l)
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
	if o.teacher != nil {
		_, w := rows(in[len(in)-1])
		f += 2 * int64(n) * int64(w) * int64(v)
	}
	return f
}

func (o headLoss) diffs(n int) []bool {
	d := make([]bool, n)
	d[0], d[1] = true, true
	if o.bias {
		d[4] = true
	}
	return d
}

var errNotRoot = errors.New("graph: the loss must be what is differentiated")

func (o headLoss) backward(in gorgonia.Nodes, loss, dout *Node) (gorgonia.Nodes, error) {
	if v, ok := dout.Value().(gorgonia.Scalar); !ok || v.Data() != float32(1) || !o.train {
		return nil, errNotRoot
	}
	n, e := rows(in[0].Shape())
	dx, err := apply(headView{partDX, tensor.Shape{n, e}}, loss)
	if err != nil {
		return nil, err
	}
	dw, err := apply(headDeposit{1}, loss, in[1])
	if err != nil {
		return nil, err
	}
	grads := make(gorgonia.Nodes, len(in))
	grads[0], grads[1] = dx, dw
	if o.bias {
		grads[4], err = apply(headDeposit{4}, loss, in[4])
	}
	return grads, err
}

// headView is a part of what headLoss saved.
type headView struct {
	part int
	to   tensor.Shape
}

func (o headView) name() string {
	return fmt.Sprintf("HeadLoss.%s(%v)", []string{"nll", "kl", "dx"}[o.part], o.to)
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
