package graph

import (
	"errors"
	"math"

	"gorgonia.org/tensor"
)

// bind makes the calls: every operation with the slices it works on.
func (l *lowering) bind() error {
	dying := map[int][]*Buffer{}
	if l.o.poison {
		for _, b := range l.bufs {
			dying[b.Last] = append(dying[b.Last], b)
		}
		l.add(poison{}, call{out: l.m.arena.Data})
	}
	for _, s := range l.order {
		if err := l.bindStep(s); err != nil {
			return err
		}
		for _, b := range dying[s.pos] {
			l.add(poison{}, call{out: l.memory(b)})
		}
	}
	for _, s := range l.leaves {
		l.addTerms(s)
	}
	l.freshen()
	for _, o := range l.outputs {
		l.m.outputs[o.name] = value{l.operand(o.step).f, o.step.shape()}
	}
	return nil
}

func (l *lowering) add(op kernelOp, c call) {
	l.m.calls = append(l.m.calls, bound{op: op, call: c})
}

func (l *lowering) bindStep(s *step) error {
	if _, ok := s.op.(deposit); ok {
		if s.uses > 0 || len(s.terms) != 1 {
			return errors.New("graph: the head's weight and bias must be parameters of their own")
		}
		return nil
	}
	if _, ok := s.op.(viewer); ok {
		l.addTerms(s)
		return nil
	}
	self := l.operand(s)
	c := call{pool: l.o.Pool, out: self.f, rows: self.rows, cols: self.cols, saved: self.saved, add: l.ownsGrad(s)}
	if s.mem.work != nil {
		c.scratch = l.memory(s.mem.work)
	}
	for _, o := range s.in {
		c.in = append(c.in, l.operand(o))
	}
	if _, ok := s.op.(headLoss); ok {
		c.deposits = l.deposits(s)
	}
	if r, ok := s.op.(ranged); ok {
		i, lo, hi := r.intRange(s.shapes())
		if in := l.m.ints[s.in[i].node.Name()]; in != nil && s.in[i].op == nil {
			in.lo, in.hi = max(in.lo, lo), min(in.hi, hi)
		}
	}
	if a, ok := s.op.(adder); ok && a.alwaysAdds() && !c.add {
		l.add(zero{}, call{out: c.out})
	}
	if _, ok := s.op.(checker); ok {
		l.m.checks = append(l.m.checks, bound{op: s.op, call: c})
	}
	l.m.calls = append(l.m.calls, bound{op: s.op, call: c, phase: s.phase, grad: c.add, label: s.label(), block: l.blockOf(s)})
	l.addTerms(s)
	return nil
}

// operand is a step's output as others read it.
func (l *lowering) operand(s *step) operand {
	o := operand{f: s.mem.fixed, half: s.mem.half, ids: s.mem.ids, value: s.mem.value}
	if s.mem.buf != nil {
		o.f = l.memory(s.mem.buf)
	}
	o.rows, o.cols = rows(s.shape())
	for _, b := range s.mem.saved {
		o.saved = append(o.saved, l.memory(b))
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
		l.m.calls = append(l.m.calls, bound{op: add{}, call: call{pool: l.o.Pool, out: g, in: []operand{{f: g}, {f: l.operand(s).f}}}, phase: s.phase, grad: true})
	}
}

// deposits finds where a loss is to add the gradients of its operands.
func (l *lowering) deposits(loss *step) [][]float32 {
	d := make([][]float32, len(loss.in))
	for _, s := range l.order {
		if op, ok := s.op.(deposit); ok && s.in[0] == loss && len(s.terms) == 1 {
			d[op.of()] = l.gradient(s.terms[0])
		}
	}
	return d
}

// inner is what operations of the machine's own have in common.
type inner struct{}

func (inner) shape([]tensor.Shape) (tensor.Shape, error) { return nil, errMachine }

// zero clears memory for an operation that only adds.
type zero struct{ inner }

func (zero) name() string { return "Zero" }
func (zero) run(c *call)  { clear(c.out) }

// poison makes a read of memory that nothing should read show.
type poison struct{ inner }

func (poison) name() string { return "Poison" }
func (poison) run(c *call) {
	nan := float32(math.NaN())
	for i := range c.out {
		c.out[i] = nan
	}
}
