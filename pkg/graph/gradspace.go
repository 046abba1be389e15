package graph

// A parameter's gradient is written once the backward pass reaches it. Until then
// its memory is free, and most of a run's values are dead by then: with
// LowerOptions.InGradients they live there. The addresses of buffers are then those of
// one space: the gradient slab, a wall that none may cross, and the arena.

// gradSpace is the gradient slab as a place for buffers.
type gradSpace struct {
	walls []*Buffer // each block from the step that writes it first, and the wall
	bytes int64     // of the space before the arena; 0 where no value lives there
}

// gradSpace finds from which step on each block of the gradient slab is taken. A block
// that no step writes is never free.
func (l *lowering) gradSpace() gradSpace {
	set := l.b.set
	if !l.o.InGradients || l.blockwise || !l.grads[0] || len(set.Blocks) == 0 {
		return gradSpace{}
	}
	first := l.firstWrites()
	end := len(l.order) + 1
	var v gradSpace
	for i, b := range set.Blocks {
		from, written := first[b.Name]
		if !written {
			from = 0
		}
		v.walls = append(v.walls, &Buffer{Offset: 4 * int64(b.Offset), Bytes: 4 * int64(l.blockEnd(i)-b.Offset), First: from, Last: end})
	}
	slab := 4 * int64(set.Len()) // it may end within a cache line: the wall begins there
	v.bytes = aligned(slab) + alignBytes
	v.walls = append(v.walls, &Buffer{Offset: slab, Bytes: v.bytes - slab, First: 0, Last: end})
	return v
}

// blockEnd is where the block after block i begins: padding goes with the block before it.
func (l *lowering) blockEnd(i int) int {
	if set := l.b.set; i+1 < len(set.Blocks) {
		return set.Blocks[i+1].Offset
	}
	return l.b.set.Len()
}

// firstWrites is the step that first writes each block's gradient.
func (l *lowering) firstWrites() map[string]int {
	first := map[string]int{}
	note := func(s *step, pos int) {
		for _, p := range s.terms {
			if at, ok := first[p.block.Name]; p.set == l.b.set && (!ok || pos < at) {
				first[p.block.Name] = pos
			}
		}
	}
	for _, s := range l.order {
		pos := s.pos
		if s.op.View.Kind == Deposit {
			pos = s.in[0].pos // the loss writes it
		}
		note(s, pos)
	}
	for _, s := range l.leaves {
		note(s, len(l.order)) // after all steps
	}
	return first
}

// clearGradSpace clears what values left in a block before its gradient is added to, and the padding
// after each block before its gradient is written.
func (l *lowering) clearGradSpace() {
	m := l.m
	if m.arenaStart == 0 {
		return
	}
	blocks := map[int]int{} // by where they begin
	for i, b := range l.b.set.Blocks {
		blocks[b.Offset] = i
	}
	written := map[int]bool{}
	var calls []bound
	for i := range m.calls {
		c := &m.calls[i]
		for _, w := range c.gradWrites(l.o.Grads.Data) {
			at := blocks[w.lo]
			if written[at] {
				continue
			}
			written[at] = true
			b := l.b.set.Blocks[at]
			from := b.Offset
			if w.overwrites {
				from += b.Size()
			}
			m.fresh[b.Name] = true
			if to := l.blockEnd(at); from < to {
				calls = append(calls, bound{op: zero, Call: Call{Out: l.o.Grads.Data[from:to]}, phase: c.phase})
			}
		}
		calls = append(calls, *c)
	}
	m.calls = calls
}

// gradWrite is a stretch of the gradient slab that a call writes.
type gradWrite struct {
	span
	overwrites bool // the call can overwrite it instead of adding
}

// gradWrites is what the call writes of the gradients.
func (c *bound) gradWrites(grads []float32) []gradWrite {
	var out []gradWrite
	for operand, d := range c.Deposits {
		if w, ok := within(grads, d); ok {
			out = append(out, gradWrite{w, operand == c.op.Deposits[0]})
		}
	}
	if c.grad {
		if w, ok := within(grads, c.Out); ok {
			out = append(out, gradWrite{w, c.Add && c.op.Adds == CanAdd})
		}
	}
	return out
}

// InGradientBytes is how much of the gradient slab the plan's values take at most; the
// arena does without it.
func (p *Plan) InGradientBytes() int64 {
	var top int64
	for i := range p.Steps {
		var sum int64
		for _, b := range p.Buffers {
			if b.Offset < p.arenaStart && b.First <= i && i <= b.Last {
				sum += b.Bytes
			}
		}
		top = max(top, sum)
	}
	return top
}
