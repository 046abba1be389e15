package graph

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// LowerOptions say how a graph becomes a machine.
type LowerOptions struct {
	Pool *kernel.Pool
	// Grads, for a graph built to train, is the slab that parameter gradients
	// are added to; nil makes no gradients.
	Grads *param.Slab
	// Taps asks for the gate gradients of every tap as outputs. It needs Grads.
	Taps bool
	// Reuse is a machine that this one replaces: its arena is taken over where
	// it is large enough, and what is left of it goes back to the system.
	Reuse *Machine
	// private gives every value memory of its own: the oracle of the plan.
	private bool
}

// Lower differentiates the graph where gradients are asked for and makes the
// machine that runs it.
func (b *Builder) Lower(o LowerOptions) (*Machine, error) {
	if b.err != nil {
		return nil, b.err
	}
	l := &lowering{
		b: b, o: o, grads: map[*Node]*param.Block{},
		at: map[*Node]storage{}, m: &Machine{ints: map[string][]int32{}, floats: map[string][]float32{}, outputs: map[string]value{}},
	}
	if err := l.differentiate(); err != nil {
		return nil, err
	}
	if err := l.layout(); err != nil {
		return nil, err
	}
	l.allocate()
	l.bind()
	return l.m, nil
}

// lowering is the state of one Lower.
type lowering struct {
	b       *Builder
	o       LowerOptions
	m       *Machine
	outputs []output
	grads   map[*Node]*param.Block // terms of parameter gradients
	terms   []*Node                // the same, in order
	order   []*Node
	in      map[*Node][]*Node
	uses    map[*Node]int // consumers among the live nodes
	at      map[*Node]storage
	bufs    []*Buffer
	first   int // ID of the first node of the backward pass
}

// storage is where a node's output and what it saved live.
type storage struct {
	fixed []float32 // memory from outside the arena
	ids   []int32
	buf   *Buffer // nil when fixed
	off   int     // of the output in buf, values
	saved *Buffer
}

// differentiate derives the gradients of the loss and finds what has to be computed.
func (l *lowering) differentiate() error {
	b := l.b
	l.outputs = append(l.outputs, b.outputs...)
	l.first = 1 << 62
	if l.o.Grads == nil {
		if l.o.Taps {
			return errors.New("graph: gates need gradients")
		}
		return nil
	}
	var loss *Node
	for _, out := range b.outputs {
		if out.name == "loss" {
			loss = out.node
		}
	}
	if loss == nil || !b.train {
		return errors.New("graph: gradients need an output named loss in a graph built to train")
	}
	l.first = len(b.g.AllNodes())
	var blocks []*param.Block
	var wrt []*Node
	for _, bl := range b.set.Blocks {
		if n, ok := b.params[bl.Name]; ok {
			blocks, wrt = append(blocks, bl), append(wrt, n)
		}
	}
	grads, err := gorgonia.Grad(loss, wrt...)
	if err != nil {
		return fmt.Errorf("graph: differentiate: %w", err)
	}
	for i, g := range grads {
		if g.Shape().TotalSize() != blocks[i].Size() {
			return fmt.Errorf("graph: gradient of %s has shape %v, expected %d values", blocks[i].Name, g.Shape(), blocks[i].Size())
		}
		for _, t := range l.dissolve(g) {
			l.grads[t] = blocks[i]
			l.terms = append(l.terms, t)
		}
	}
	if !l.o.Taps {
		return nil
	}
	for _, t := range b.taps {
		d := t.node.Deriv()
		if d == nil {
			return fmt.Errorf("graph: tap %s: the loss does not depend on it", t.dim)
		}
		r, err := apply(gateDot{t.b, t.col0, t.units, t.width}, t.node, d)
		if err != nil {
			return fmt.Errorf("tap %s: %w", t.dim, err)
		}
		l.outputs = append(l.outputs, output{"gate:" + t.dim, r})
	}
	return nil
}

// dissolve lists the terms of a sum that Gorgonia built over a parameter's
// gradients (tied matrices have several), so that each is added to the slab by
// itself.
func (l *lowering) dissolve(n *Node) []*Node {
	in := operands(l.b.g, n)
	if isStockAdd(n, in) {
		return append(l.dissolve(in[0]), l.dissolve(in[1])...)
	}
	return []*Node{n}
}

// isStockAdd reports whether n is Gorgonia's own + of two values of one shape.
func isStockAdd(n *Node, in []*Node) bool {
	return n.Op() != nil && len(in) == 2 && kernelOf(n) == nil &&
		strings.HasPrefix(n.Op().String(), "+") && in[0].Shape().Eq(in[1].Shape()) && in[0].Dtype() == tensor.Float32
}

// layout orders the live nodes and decides which values share a buffer.
func (l *lowering) layout() error {
	roots := append([]*Node(nil), l.terms...)
	for _, o := range l.outputs {
		roots = append(roots, o.node)
	}
	l.in = live(l.b.g, roots)
	l.order = schedule(l.in)
	l.uses = map[*Node]int{}
	for _, in := range l.in {
		for _, o := range in {
			l.uses[o]++
		}
	}
	for n := range l.in {
		if n.Op() == nil || len(l.in[n]) == 0 {
			s, err := l.leaf(n)
			if err != nil {
				return err
			}
			l.at[n] = s
		}
	}
	out, saved := l.lifetimes()
	for pos, n := range l.order {
		l.at[n] = l.store(n, pos, out[n], saved[n])
	}
	return nil
}

// leaf is where a node without operands lives: a parameter, an input, a constant.
func (l *lowering) leaf(n *Node) (storage, error) {
	name := n.Name()
	switch {
	case n.Op() != nil || l.b.params[name] != n && l.b.inputs[name] != n:
		v := n.Value()
		if v == nil {
			return storage{}, fmt.Errorf("graph: input %q has no value", name)
		}
		f, err := float32s(v)
		return storage{fixed: f}, err
	case l.b.params[name] == n:
		return storage{fixed: l.b.set.Block(name).In(l.b.set.Weights)}, nil
	case n.Dtype() == tensor.Int32:
		ids := make([]int32, n.Shape().TotalSize())
		l.m.ints[name] = ids
		return storage{ids: ids}, nil
	}
	f := make([]float32, n.Shape().TotalSize())
	l.m.floats[name] = f
	return storage{fixed: f}, nil
}

// lifetimes finds the last step that reads each node's output, and what it saved.
func (l *lowering) lifetimes() (out, saved map[*Node]int) {
	out, saved = map[*Node]int{}, map[*Node]int{}
	for pos, n := range l.order {
		out[n] = pos
		saved[n] = pos
	}
	end := len(l.order)
	for _, o := range l.outputs {
		out[o.node] = end
	}
	// Backwards, so that a view's lifetime is known before what it views.
	for pos := len(l.order) - 1; pos >= 0; pos-- {
		n := l.order[pos]
		which, both := -1, false
		if r, ok := kernelOf(n).(savedReader); ok {
			which, both = r.readsSaved()
		}
		_, isView := kernelOf(n).(viewer)
		for i, o := range l.in[n] {
			if i == which {
				saved[o] = max(saved[o], pos)
				if isView {
					saved[o] = max(saved[o], out[n])
				}
			}
			if i != which || both {
				out[o] = max(out[o], pos)
			}
		}
	}
	return out, saved
}

// store decides where the output of n, alive until last, lives.
func (l *lowering) store(n *Node, pos, last, lastSaved int) storage {
	op := kernelOf(n)
	shapes := shapesOf(l.in[n])
	size := n.Shape().TotalSize()
	var s storage
	if v, ok := op.(saver); ok && v.saved(shapes) > 0 {
		s.saved = l.buffer(n, v.saved(shapes), pos, lastSaved)
		s.saved.Saved = true
	}
	if l.ownsGrad(n) {
		s.fixed = l.grads[n].In(l.o.Grads)
		return s
	}
	if v, ok := op.(viewer); ok {
		s.buf, s.off = l.at[l.in[n][0]].saved, v.view(shapes)
		return s
	}
	if i := l.inPlace(n, op); i >= 0 && !l.o.private {
		from := l.at[l.in[n][i]]
		if b := from.buf; b != nil && from.off == 0 && b.Last == pos && b.Bytes == int64(4*size) {
			b.Last = max(b.Last, last)
			s.buf = b
			return s
		}
	}
	s.buf = l.buffer(n, size, pos, last)
	return s
}

// inPlace is the operand whose memory the output of n may take, or -1.
func (l *lowering) inPlace(n *Node, op kernelOp) int {
	if o, ok := op.(overwriter); ok {
		return o.overwrites()
	}
	if op == nil && isStockAdd(n, l.in[n]) {
		return 0
	}
	return -1
}

// ownsGrad reports whether n computes a term of a gradient and nothing else, so
// that it can add to the slab itself.
func (l *lowering) ownsGrad(n *Node) bool {
	if l.grads[n] == nil || l.uses[n] > 0 {
		return false
	}
	_, adds := kernelOf(n).(adder)
	return adds
}

func (l *lowering) buffer(n *Node, values, first, last int) *Buffer {
	b := &Buffer{Name: n.Name(), Bytes: int64(4 * values), First: first, Last: last}
	l.bufs = append(l.bufs, b)
	return b
}

func shapesOf(nodes []*Node) []tensor.Shape {
	s := make([]tensor.Shape, len(nodes))
	for i, n := range nodes {
		s[i] = n.Shape()
	}
	return s
}

// allocate places the buffers and makes the arena.
func (l *lowering) allocate() {
	p := &Plan{}
	for _, b := range l.bufs {
		p.values += b.Bytes
	}
	if l.o.private {
		for _, b := range l.bufs {
			b.First, b.Last = 0, len(l.order)
		}
	}
	p.arena = place(l.bufs)
	for _, b := range l.bufs {
		p.Buffers = append(p.Buffers, *b)
	}
	for _, n := range l.order {
		s := PlanStep{Name: n.Name(), Shape: n.Shape(), Backward: n.ID() >= int64(l.first)}
		if f, ok := kernelOf(n).(flopper); ok {
			s.FLOPs = f.flops(shapesOf(l.in[n]), n.Shape())
		}
		p.Steps = append(p.Steps, s)
	}
	l.m.plan = p
	need := int(p.arena / 4)
	if r := l.o.Reuse; r != nil && r.arena != nil {
		if len(r.arena.Data) >= need {
			l.m.arena, r.arena = r.arena, nil
			l.m.arena.Truncate(need)
		}
		r.Close()
	}
	if l.m.arena == nil {
		l.m.arena = param.NewSlab(need)
	}
}

// slice is the memory of size values of b from value off on.
func (l *lowering) slice(b *Buffer, off, size int) []float32 {
	at := int(b.Offset/4) + off
	return l.m.arena.Data[at : at+size : at+size]
}

func (l *lowering) memory(n *Node) []float32 {
	s := l.at[n]
	if s.buf == nil {
		return s.fixed
	}
	return l.slice(s.buf, s.off, n.Shape().TotalSize())
}

func (l *lowering) operand(n *Node) operand {
	o := operand{f: l.memory(n), ids: l.at[n].ids}
	o.rows, o.cols = rows(n.Shape())
	if b := l.at[n].saved; b != nil {
		o.saved = l.slice(b, 0, int(b.Bytes/4))
	}
	return o
}

// bind makes the calls.
func (l *lowering) bind() {
	for _, n := range l.order {
		op := kernelOf(n)
		switch op.(type) {
		case nil:
			if isStockAdd(n, l.in[n]) {
				op = add{}
			} else {
				op = stock{n}
			}
		case viewer, deposit:
			l.addTerm(n, nil)
			continue
		}
		self := l.operand(n)
		c := call{pool: l.o.Pool, out: self.f, rows: self.rows, cols: self.cols, saved: self.saved}
		for _, o := range l.in[n] {
			c.in = append(c.in, l.operand(o))
		}
		if _, ok := op.(headLoss); ok {
			c.deposits = l.deposits(n, len(c.in))
		}
		a, adds := op.(adder)
		c.add = l.ownsGrad(n)
		if adds && a.alwaysAdds() && !c.add {
			l.m.calls = append(l.m.calls, bound{op: zero{}, call: call{out: c.out}})
		}
		l.m.calls = append(l.m.calls, bound{op, c})
		l.addTerm(n, c.out)
	}
	for _, o := range l.outputs {
		l.m.outputs[o.name] = value{l.memory(o.node), o.node.Shape()}
	}
}

// addTerm adds a gradient term that could not go to the slab by itself.
func (l *lowering) addTerm(n *Node, out []float32) {
	bl := l.grads[n]
	if bl == nil || l.ownsGrad(n) {
		return
	}
	if out == nil {
		out = l.memory(n)
	}
	g := bl.In(l.o.Grads)
	l.m.calls = append(l.m.calls, bound{add{}, call{pool: l.o.Pool, out: g, in: []operand{{f: g}, {f: out}}}})
}

// deposits finds where a loss node is to add the gradients of its operands.
func (l *lowering) deposits(loss *Node, n int) [][]float32 {
	d := make([][]float32, n)
	for t, bl := range l.grads {
		if op, ok := kernelOf(t).(deposit); ok && l.in[t][0] == loss {
			d[op.of()] = bl.In(l.o.Grads)
		}
	}
	return d
}

// zero clears memory for an operation that only adds.
type zero struct{}

func (zero) name() string                               { return "Zero" }
func (zero) shape([]tensor.Shape) (tensor.Shape, error) { return nil, errMachine }
func (zero) run(c *call)                                { clear(c.out) }
