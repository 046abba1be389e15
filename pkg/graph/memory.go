package graph

import (
	"unsafe"

	"github.com/ecospa/ecospa/pkg/param"
)

// arrangeMemory gives the planner what it has to know of the steps, and the steps what it
// decided.
func (l *lowering) arrangeMemory() {
	for pos, s := range l.order {
		s.pos = pos
	}
	needs := make([]need, len(l.order))
	for i, s := range l.order {
		n := need{label: s.label(), purpose: l.purpose(s), bytes: s.bytes(), bf16: s.bf16, op: s.op, slab: l.ownsGrad(s)}
		for _, o := range s.in {
			at := -1
			if o.op != nil {
				at = o.pos
			}
			n.in = append(n.in, at)
		}
		if s.op.Saves != nil {
			n.saves = s.op.Saves(s.shapes())
		}
		if s.op.Scratch != nil {
			n.scratch = s.op.Scratch(s.shapes())
		}
		needs[i] = n
	}
	for _, o := range l.outputs {
		if o.step.op != nil {
			needs[o.step.pos].output = true
		}
	}
	in := l.gradSpace()
	m := planMemory(needs, l.holdGrads(), in, l.o.private)
	l.bufs, l.arena, l.arenaStart = m.bufs, m.arena, in.bytes
	for i, s := range l.order {
		r := m.rooms[i]
		s.mem.buf, s.mem.work, s.mem.saved = r.out, r.work, r.saved
	}
}

// ownsGrad reports whether s computes a term of one gradient and nothing else,
// so that it can add to the slab itself.
func (l *lowering) ownsGrad(s *step) bool {
	return s.op != nil && s.op.Adds != Overwrites && len(s.terms) == 1 && s.uses == 0
}

func (l *lowering) purpose(s *step) Purpose {
	if s.op.Purpose != "" {
		return s.op.Purpose
	}
	switch s.phase {
	case Backward:
		return Gradient
	case Recomputed:
		return RecomputedValue
	}
	return Activation
}

// gradient is the memory that a block's gradient is added to.
func (l *lowering) gradient(p paramLeaf) []float32 {
	if p.set == l.b.set && l.blockwise {
		return l.memory(l.blocks[p.block.Name].buf)
	}
	if p.set == l.b.set {
		return p.in(l.o.Grads)
	}
	return p.in(l.o.AdapterGrads)
}

// allocate makes the arena and finds the memory outside of it.
func (l *lowering) allocate() {
	l.makeArena()
	for _, s := range l.leaves {
		l.leaf(s)
	}
	for _, s := range l.order {
		if l.ownsGrad(s) {
			s.mem.fixed = l.gradient(s.terms[0])
		}
	}
	l.needFloats()
	for _, s := range l.leaves {
		if v := s.mem.value; v != nil {
			if v.needed {
				s.mem.fixed = make([]float32, s.size())
			}
			l.m.foreign = append(l.m.foreign, foreignLeaf{v, s.mem.fixed})
		}
	}
}

// makeArena makes the arena, or takes that of the machine that is replaced.
func (l *lowering) makeArena() {
	l.m.arenaStart = l.arenaStart
	need := int(l.arena / 4)
	if r := l.o.Reuse; r != nil && r.arena != nil {
		if len(r.arena.Data) >= need {
			l.m.arena, r.arena = r.arena, nil
			l.m.arena.Truncate(need)
		}
		r.Close()
	}
	if a := l.o.Arena; a != nil && len(a.Data) >= need {
		l.m.arena, l.m.shared = a, true
	}
	if l.m.arena == nil {
		l.m.arena = param.NewSlab(need)
	}
}

// memory is a buffer's part of the arena, or of the gradients.
func (l *lowering) memory(b *Buffer) []float32 {
	at, n := int(b.Offset/4), int(b.Bytes/4)
	if b.Offset < l.m.arenaStart {
		return l.o.Grads.Data[at : at+n : at+n]
	}
	at -= int(l.m.arenaStart / 4)
	return l.m.arena.Data[at : at+n : at+n]
}

// asBF16 is the memory of x as n numbers of two bytes.
func asBF16(x []float32, n int) []uint16 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&x[0])), n)
}
