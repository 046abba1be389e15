package graph

import "github.com/ecospa/ecospa/pkg/param"

// With LowerOptions.Update no slab of gradients exists. Each block's gradient has a buffer
// of the arena from the step that writes it first to the one after which nothing writes it
// and nothing reads the block's weights any longer, recomputed values included: there the
// block is updated, and the memory is free for the next. A matrix that is both the token
// table and the head has the longest life: from the loss to the end.

// blockGrad is the gradient of a block of parameters while it is alive.
type blockGrad struct {
	block   *param.Block
	buf     *Buffer
	written bool // by a call that is bound already
}

// holdGrads makes the buffers of the gradients, in the order of the blocks.
func (l *lowering) holdGrads() []*Buffer {
	if !l.blockwise {
		return nil
	}
	first, last := l.firstWrites(), l.lastUses()
	l.blocks = map[string]*blockGrad{}
	var held []*Buffer
	for _, b := range l.b.set.Blocks {
		from, ok := first[b.Name]
		if !ok {
			continue
		}
		buf := &Buffer{Name: "gradient of " + b.Name, Purpose: WeightGradient, Bytes: 4 * int64(b.Size()), First: from, Last: last[b.Name], index: len(held)}
		l.blocks[b.Name] = &blockGrad{block: b, buf: buf}
		held = append(held, buf)
	}
	return held
}

// lastUses is the last step that writes each block's gradient or reads its weights, and
// none before the loss is known.
func (l *lowering) lastUses() map[string]int {
	last, known := map[string]int{}, 0
	for _, o := range l.outputs {
		if o.name == LossOutput && o.step.op != nil {
			known = o.step.pos
		}
	}
	note := func(block string, pos int) { last[block] = max(last[block], pos, known) }
	for _, s := range l.order {
		for _, o := range s.in {
			if p, ok := l.b.params[o.node.Name()]; ok && p.node == o.node && p.set == l.b.set {
				note(p.block.Name, s.pos)
			}
		}
		for _, p := range s.terms {
			note(p.block.Name, s.pos)
		}
	}
	for _, s := range l.leaves {
		for _, p := range s.terms {
			note(p.block.Name, len(l.order))
		}
	}
	return last
}

// opens reports whether a write of the parameter's gradient is the first of a run, which
// has to overwrite what the memory held before.
func (l *lowering) opens(p paramLeaf) bool {
	if !l.blockwise || p.set != l.b.set {
		return false
	}
	g := l.blocks[p.block.Name]
	was := g.written
	g.written = true
	return !was
}

// update updates the blocks that are complete after step pos.
func (l *lowering) update(pos int) {
	if !l.blockwise {
		return
	}
	for _, b := range l.b.set.Blocks {
		if g := l.blocks[b.Name]; g != nil && g.buf.Last == pos {
			grad := l.memory(g.buf)
			op := &Op{Name: "Update", Run: func(c *Call) { c.Err = l.o.Update(g.block, grad) }}
			l.m.calls = append(l.m.calls, bound{op: op, Call: Call{Out: grad}, phase: Backward})
		}
	}
}
