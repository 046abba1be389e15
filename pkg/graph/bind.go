package graph

import (
	"errors"
	"math"
)

// bind makes the calls: every operation with the slices it works on.
func (l *lowering) bind() error {
	dying := map[int][]*Buffer{}
	if l.o.poison {
		for _, b := range l.bufs {
			dying[b.Last] = append(dying[b.Last], b)
		}
		l.add(poison, Call{Out: l.m.arena.Data})
	}
	for _, s := range l.order {
		if err := l.bindStep(s); err != nil {
			return err
		}
		l.update(s.pos)
		for _, b := range dying[s.pos] {
			l.add(poison, Call{Out: l.memory(b)})
		}
	}
	for _, s := range l.leaves {
		l.addTerms(s)
	}
	l.update(len(l.order))
	l.freshen()
	for _, o := range l.outputs {
		l.m.outputs[o.name] = value{l.operand(o.step).F, o.step.shape()}
	}
	return nil
}

func (l *lowering) add(op *Op, c Call) {
	l.m.calls = append(l.m.calls, bound{op: op, Call: c})
}

func (l *lowering) bindStep(s *step) error {
	if err := l.readable(s); err != nil {
		return err
	}
	switch s.op.View.Kind {
	case Deposit:
		if s.uses > 0 || len(s.terms) != 1 {
			return errors.New("graph: the head's weight and bias must be parameters of their own")
		}
		return nil
	case SavedPart:
		l.addTerms(s)
		return nil
	}
	self := l.operand(s)
	c := Call{Pool: l.o.Pool, Out: self.F, BF16: self.BF16, Rounded: s.op.Narrow == Rounded, Rows: self.Rows, Cols: self.Cols, Saved: self.Saved, Add: l.ownsGrad(s)}
	if s.mem.work != nil {
		c.Scratch = l.memory(s.mem.work)
	}
	for _, o := range s.in {
		c.In = append(c.In, l.operand(o))
	}
	if c.Add && l.opens(s.terms[0]) {
		c.Add = false
	}
	if len(s.op.Deposits) > 0 {
		l.deposits(s, &c)
	}
	if s.op.IDs != nil {
		r := s.op.IDs(s.shapes())
		if in := l.m.ints[s.in[r.Operand].node.Name()]; in != nil && s.in[r.Operand].op == nil {
			in.lo, in.hi = max(in.lo, r.Lo), min(in.hi, r.Hi)
		}
	}
	if s.op.Adds == AlwaysAdds && !c.Add {
		l.add(zero, Call{Out: c.Out})
	}
	if s.op.Check != nil {
		l.m.checks = append(l.m.checks, bound{op: s.op, Call: c})
	}
	l.m.calls = append(l.m.calls, bound{op: s.op, Call: c, phase: s.phase, grad: l.ownsGrad(s), label: s.label(), block: l.blockOf(s)})
	l.addTerms(s)
	return nil
}

// operand is a step's output as others read it.
func (l *lowering) operand(s *step) Operand {
	o := Operand{F: s.mem.fixed, BF16: s.mem.bf16, Q8: s.mem.q8, IDs: s.mem.ids, value: s.mem.value}
	switch {
	case s.mem.buf != nil && s.bf16:
		o.BF16 = asBF16(l.memory(s.mem.buf), s.size())
	case s.mem.buf != nil:
		o.F = l.memory(s.mem.buf)
	}
	o.Rows, o.Cols = MatrixShape(s.shape())
	for _, b := range s.mem.saved {
		o.Saved = append(o.Saved, l.memory(b))
	}
	return o
}

// addTerms adds gradient terms that could not go to the slab by themselves.
func (l *lowering) addTerms(s *step) {
	if l.ownsGrad(s) {
		return
	}
	for _, p := range s.terms {
		g := l.gradient(p)
		if l.opens(p) {
			l.add(zero, Call{Out: g})
		}
		l.m.calls = append(l.m.calls, bound{op: sum, Call: Call{Pool: l.o.Pool, Out: g, In: []Operand{{F: g}, {F: l.operand(s).F}}}, phase: s.phase, grad: true})
	}
}

// deposits finds where a loss is to add the gradients of its operands, for its call.
func (l *lowering) deposits(loss *step, c *Call) {
	c.Deposits = make([][]float32, len(loss.in))
	for _, s := range l.order {
		v := s.op.View
		if v.Kind != Deposit || s.in[0] != loss || len(s.terms) != 1 {
			continue
		}
		g := l.gradient(s.terms[0])
		c.Deposits[v.Index] = g
		switch {
		case !l.opens(s.terms[0]):
		case v.Index == loss.op.Deposits[0]:
			c.Fresh = true
		default:
			l.add(zero, Call{Out: g})
		}
	}
}

// Operations of the machine's own.
var (
	sum = add()
	// zero clears memory for an operation that only adds.
	zero = &Op{Name: "Zero", Run: func(c *Call) { clear(c.Out) }}
	// poison makes a read of memory that nothing should read show.
	poison = &Op{Name: "Poison", Run: func(c *Call) {
		nan := math.Float32frombits(0x7fc07fc0) // of bfloat16 as well
		for i := range c.Out {
			c.Out[i] = nan
		}
	}}
)
