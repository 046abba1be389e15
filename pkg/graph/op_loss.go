package graph

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Head is the settings of a head.
type Head struct {
	Smoothing float32 // share of each target that is spread over the vocabulary
	Logits    Logits  // what becomes of the logits before the softmax
}

// Logits is what a model makes of its head's products: see kernel.Logits.
type Logits = kernel.Logits

// Logits is what o makes of x, for a graph that gives logits: x itself if nothing.
func (b *Builder) Logits(x *Node, o Logits) *Node {
	if o.Scale != 0 && o.Scale != 1 {
		x = b.Scale(x, o.Scale)
	}
	if o.SoftCap > 0 {
		x = b.SoftCap(x, o.SoftCap)
	}
	return x
}

// LossOperands are what a loss of logits reads: the last hidden states X [N, E], the head W
// [V, E], its Bias [V] or nil, the Targets [N] (negative: ignored) and the Scale, a scalar.
type LossOperands struct{ X, W, Bias, Targets, Scale *Node }

// HeadLoss is Scale times the summed cross-entropy of logits X·Wᵀ + Bias against
// Targets: a scalar.
// It adds the outputs "loss" and "nll" (each row's loss in nats, [N]). A second
// one in the same graph adds to "loss"; its rows are "nll.2", and so on.
func (b *Builder) HeadLoss(in LossOperands, o Head) *Node {
	if b.err != nil {
		return nil
	}
	if b.heads++; b.heads > 1 && (b.o.States || b.o.Teacher != nil || b.o.Preference != nil) {
		b.Fail(errors.New("graph: distillation and preference tuning need a model with exactly one loss head"))
		return nil
	}
	switch t := b.o.Teacher; {
	case b.o.States:
		b.Output(StatesOutput, in.X)
		return in.X
	case t != nil:
		n, _ := MatrixShape(in.X.Shape())
		return b.DistillLoss(in, o, b.Floats(TeacherInput, n, t.Width), t)
	case b.o.Preference != nil:
		n, _ := MatrixShape(in.X.Shape())
		o.Smoothing = 0
		return b.headLoss(head{Head: o, preference: b.o.Preference}, in, b.IDs(PairsInput, n), b.Floats(ReferenceInput, n, 1))
	}
	return b.headLoss(head{Head: o}, in)
}

// LossOutput is the output that is differentiated.
const LossOutput = "loss"

// The names by which a graph with BuildOptions.States gives a teacher's hidden states
// [N, E], and one with BuildOptions.Teacher takes them.
const (
	StatesOutput = "states"
	TeacherInput = "teacher"
)

// Teacher is a model over the same vocabulary that DistillLoss learns from. Its
// last hidden states come from a machine of its own, run on the same batch.
type Teacher struct {
	W           []float32      // its head [V, E']
	Stored      kernel.Weights // the head in another type, where W is nil; without either the graph can only be planned
	Width       int            // E', its own width
	Bias        []float32      // [V], or nil
	Temperature float32        // softens both distributions; 1 leaves them
	Weight      float32        // share of the teacher's term in the loss, 0 to 1
	Logits      Logits         // what it makes of its logits
}

// fits reports whether the head has n values, or is not given.
func (t *Teacher) fits(n int) bool {
	switch s := t.Stored; {
	case t.W != nil || s.F32 != nil:
		return len(t.W)+len(s.F32) == n
	case s.BF16 != nil:
		return len(s.BF16) == n
	case s.Q8 != nil:
		return len(s.Q8) == s.Bytes(n)
	}
	return true
}

// DistillLoss is HeadLoss with a teacher, whose hidden states are the input
// hidden [N, E']: scale times the sum of (1-Weight)·nll + Weight·kl, see
// kernel.DistillLoss. It adds the output "kl" ([N], nats) to those of HeadLoss.
func (b *Builder) DistillLoss(in LossOperands, o Head, hidden *Node, t *Teacher) *Node {
	if b.err == nil && (t == nil || hidden == nil || !(t.Temperature > 0) || !(t.Weight >= 0 && t.Weight <= 1)) {
		b.Fail(errors.New("graph: DistillLoss: expected a teacher with hidden states, a temperature above 0 and a weight of 0 to 1"))
	}
	return b.headLoss(head{Head: o, teacher: t}, in, hidden)
}

// addLoss adds a term to the output "loss".
func (b *Builder) addLoss(loss *Node) *Node {
	for i, out := range b.outputs {
		if b.loss != nil && out.node == b.loss {
			b.loss = b.Add(b.loss, loss)
			b.outputs[i].node = b.loss
			return b.loss
		}
	}
	b.loss = loss
	b.Output(LossOutput, loss)
	return loss
}

// headLoss applies the head; more are what it reads beside its own operands.
func (b *Builder) headLoss(o head, in LossOperands, more ...*Node) *Node {
	o.train, o.gates, o.bias, o.bf16 = b.o.Train || b.o.Gates, b.o.Gates, in.Bias != nil, b.o.BF16
	if o.teacher != nil {
		o.number = b.number(o.teacher)
	}
	operands := []*Node{in.X, in.W, in.Targets, in.Scale}
	if in.Bias != nil {
		operands = append(operands, in.Bias)
	}
	operands = append(operands, more...)
	loss := b.Apply(o.op(len(operands)), operands...)
	if b.err != nil {
		return nil
	}
	b.losses++
	number := ""
	if b.losses > 1 {
		number = fmt.Sprintf(".%d", b.losses)
	}
	n, _ := MatrixShape(in.X.Shape())
	b.Output("nll"+number, b.Apply(headPart(partNLL, tensor.Shape{n}), loss))
	if o.teacher != nil {
		b.Output("kl"+number, b.Apply(headPart(partKL, tensor.Shape{n}), loss))
	}
	if o.preference != nil {
		b.Output(RewardsOutput, b.Apply(headPart(partKL, tensor.Shape{n}), loss))
	}
	return b.addLoss(loss)
}

// head is the language-model head with its cross-entropy, a scalar:
// scale times the summed loss of the rows whose target is not negative.
// Operands: x [N, E], w [V, E], targets [N], scale, then bias [V] and a teacher's
// hidden states [N, E'], or pairs and reference [N], where there are any.
//
// It saves the rows' losses and, in training, dx [N, E]: the gradients are made
// from the same logits, which never exist whole. dw (and dbias) go straight to
// where the machine wants them.
type head struct {
	Head
	train, bias, bf16 bool
	gates             bool // train, without the gradients of w and bias
	teacher           *Teacher
	number            int // of the teacher, in the name
	preference        *Preference
}

// The parts that head saves.
const (
	partNLL = iota // [N]
	partKL         // [N] with a teacher; rewards [N] with a preference
	partDX         // [N, E] in training
)

// op is the operation for so many operands.
func (o head) op(operands int) *Op {
	op := &Op{
		Name: o.name(), Shape: o.shape, Run: o.run, Backward: o.backward, Saves: o.saved, Scratch: o.scratch, FLOPs: o.flops,
		IDs:        func(in []tensor.Shape) IDs { v, _ := MatrixShape(in[1]); return IDs{2, math.MinInt32, int32(v)} },
		NoGradient: []int{2, 3},
		Deposits:   []int{1},
		Stored:     []int{1},
	}
	if o.bias {
		op.Deposits = append(op.Deposits, 4)
	}
	if o.teacher != nil {
		op.NoGradient = append(op.NoGradient, operands-1)
	}
	if o.preference != nil {
		op.NoGradient = append(op.NoGradient, operands-2, operands-1)
	}
	return op
}

func (o head) name() string {
	s := fmt.Sprintf("HeadLoss(smoothing %g train %t bf16 %t", o.Smoothing, o.train, o.bf16)
	if o.Logits != (Logits{}) {
		s += fmt.Sprintf(" logits x %g cap %g", o.Logits.Scale, o.Logits.SoftCap)
	}
	if o.gates {
		s += " gates"
	}
	if o.teacher != nil {
		s += fmt.Sprintf(" teacher %d", o.number)
	}
	if o.preference != nil {
		s += fmt.Sprintf(" preference %+v", *o.preference)
	}
	return s + ")"
}

func (o head) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := MatrixShape(in[0])
	v, w := MatrixShape(in[1])
	if w != e {
		return nil, fmt.Errorf("x is %d wide, the head %d x %d", e, v, w)
	}
	if in[2].TotalSize() != n {
		return nil, fmt.Errorf("%d targets for %d rows", in[2].TotalSize(), n)
	}
	if in[3].TotalSize() != 1 {
		return nil, fmt.Errorf("scale has %d values, expected 1", in[3].TotalSize())
	}
	if !(o.Logits.SoftCap >= 0) {
		return nil, fmt.Errorf("the soft cap is %g, expected 0 (none) or more", o.Logits.SoftCap)
	}
	if o.bias && in[4].TotalSize() != v {
		return nil, fmt.Errorf("bias has %d values, expected %d", in[4].TotalSize(), v)
	}
	if t := o.teacher; t != nil {
		if m, w := MatrixShape(in[len(in)-1]); m != n || !t.fits(v*w) || t.Bias != nil && len(t.Bias) != v {
			return nil, fmt.Errorf("the teacher has %d rows of %d, a head of %d values and a bias of %d; expected %d rows and a vocabulary of %d", m, w, len(t.W), len(t.Bias), n, v)
		}
	}
	if p := o.preference; p != nil && (p.T < 1 || n%(2*p.T) != 0 || !(p.Beta > 0)) {
		return nil, fmt.Errorf("%d rows with %+v, expected pairs of sequences and a beta above 0", n, *p)
	}
	return tensor.ScalarShape(), nil
}

func (o head) saved(in []tensor.Shape) []int {
	n, e := MatrixShape(in[0])
	parts := []int{partNLL: n, partKL: 0, partDX: 0}
	if o.teacher != nil || o.preference != nil {
		parts[partKL] = n
	}
	if o.train {
		parts[partDX] = n * e
	}
	return parts
}

func (o head) scratch(in []tensor.Shape) int {
	n, _ := MatrixShape(in[0])
	v, _ := MatrixShape(in[1])
	if o.teacher != nil {
		return kernel.DistillScratch(n, v)
	}
	if o.preference != nil {
		return n + kernel.HeadScratch(n, v)
	}
	if !o.train {
		return kernel.LossScratch(n, v)
	}
	return kernel.HeadScratch(n, v)
}

func (o head) run(c *Call) {
	x, w := c.In[0], c.In[1]
	nll, kl := c.Saved[partNLL], c.Saved[partKL]
	scale := c.In[3].F[0]
	var dx, bias, dbias []float32
	if o.train {
		dx = c.Saved[partDX]
	}
	if o.bias {
		bias, dbias = c.In[4].F, c.Deposits[4]
	}
	ho := kernel.HeadOptions{Scale: scale, Smoothing: o.Smoothing, BF16: o.bf16, Logits: o.Logits, Stored: w.stored(), Fresh: c.Fresh, Scratch: c.Scratch}
	if o.preference != nil {
		o.judge(c, ho, headGradients{dx, c.Deposits[1], dbias})
		return
	}
	in := kernel.HeadInput{X: x.F, W: w.F, Bias: bias, Targets: c.In[2].IDs, N: x.Rows, E: x.Cols, V: w.Rows}
	out := kernel.HeadOutput{NLL: nll, KL: kl, DX: dx, DW: c.Deposits[1], DBias: dbias}
	hard, soft := 0.0, 0.0
	if t := o.teacher; t != nil {
		h := c.In[len(c.In)-1]
		teacher := kernel.Teacher{X: h.F, W: t.W, Stored: t.Stored, Bias: t.Bias, E: h.Cols, Temperature: t.Temperature, Weight: t.Weight, Logits: t.Logits}
		kernel.DistillLoss(c.Pool, in, ho, teacher, out)
		hard, soft = 1-float64(t.Weight), float64(t.Weight)
	} else {
		kernel.HeadLoss(c.Pool, in, ho, out)
		hard = 1
	}
	sum := 0.0
	for _, l := range nll {
		sum += hard * float64(l)
	}
	for _, l := range kl {
		sum += soft * float64(l)
	}
	c.Out[0] = float32(sum * float64(scale))
}

// flops counts the logits, and in training the two products of the gradients,
// which this operation makes as well; for gates that of x only.
func (o head) flops(in []tensor.Shape, _ tensor.Shape) int64 {
	n, e := MatrixShape(in[0])
	v, _ := MatrixShape(in[1])
	f := 2 * int64(n) * int64(e) * int64(v)
	switch {
	case o.gates:
		f *= 2
	case o.train:
		f *= 3
	}
	if o.preference != nil && o.train { // the logits are made twice
		f += 2 * int64(n) * int64(e) * int64(v)
	}
	if o.teacher != nil {
		_, w := MatrixShape(in[len(in)-1])
		f += 2 * int64(n) * int64(w) * int64(v)
	}
	return f
}

var errNotRoot = errors.New("graph: the loss must be what is differentiated")

func (o head) backward(in gorgonia.Nodes, loss, dout *Node) (gorgonia.Nodes, error) {
	if v, ok := dout.Value().(gorgonia.Scalar); !ok || v.Data() != float32(1) || !o.train {
		return nil, errNotRoot
	}
	n, e := MatrixShape(in[0].Shape())
	dx, err := Apply(headPart(partDX, tensor.Shape{n, e}), loss)
	if err != nil {
		return nil, err
	}
	dw, err := Apply(headGrad(1), loss, in[1])
	if err != nil {
		return nil, err
	}
	grads := make(gorgonia.Nodes, len(in))
	grads[0], grads[1] = dx, dw
	if o.bias {
		grads[4], err = Apply(headGrad(4), loss, in[4])
	}
	return grads, err
}

// headPart is a part of what the head saved.
func headPart(part int, shape tensor.Shape) *Op {
	return &Op{
		Name:  fmt.Sprintf("HeadLoss.%s(%v)", []string{"nll", "kl", "dx"}[part], shape),
		Shape: func([]tensor.Shape) (tensor.Shape, error) { return shape.Clone(), nil },
		View:  View{SavedPart, part},
	}
}

// headGrad stands for a parameter gradient that the head adds to the slab itself;
// operands the loss and the parameter.
func headGrad(operand int) *Op {
	return &Op{
		Name:    fmt.Sprintf("HeadLoss.grad(%d)", operand),
		Shape:   sameShape(1),
		View:    View{Deposit, operand},
		Adds:    AlwaysAdds,
		Stored:  []int{1},
		SavedOf: []int{0},
		Unread:  []int{0},
	}
}
