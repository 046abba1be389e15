package graph

import (
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// lifetimes finds the last step that reads each step's output, and what it saves.
func (l *lowering) lifetimes() {
	for pos, s := range l.order {
		s.pos, s.last, s.lastSaved = pos, pos, pos
	}
	for _, o := range l.outputs {
		o.step.last = len(l.order)
	}
	// Backwards, so that a view's lifetime is known before what it views.
	for i := len(l.order) - 1; i >= 0; i-- {
		s := l.order[i]
		for i, o := range s.in {
			part := i == 0 && s.op.View.Kind == SavedPart
			if part || has(s.op.SavedOf, i) {
				o.lastSaved = max(o.lastSaved, s.pos)
			}
			if !part && !has(s.op.Unread, i) {
				o.last = max(o.last, s.pos)
			}
		}
	}
}

// store decides where the output of s lives, and what it saves.
func (l *lowering) store(s *step) {
	if s.op.Saves != nil {
		for _, n := range s.op.Saves(s.shapes()) {
			s.mem.saved = append(s.mem.saved, l.buffer(s, n, s.lastSaved, Saved))
		}
	}
	if s.op.Scratch != nil {
		s.mem.work = l.buffer(s, s.op.Scratch(s.shapes()), s.pos, Scratch)
	}
	switch s.op.View.Kind {
	case SavedPart:
		b := s.in[0].mem.saved[s.op.View.Index]
		b.Last = max(b.Last, s.last)
		s.mem.buf = b
		return
	case Deposit:
		return
	}
	if l.ownsGrad(s) {
		return // in the slab
	}
	if b := l.inPlace(s); b != nil {
		b.Last = max(b.Last, s.last)
		s.mem.buf = b
		return
	}
	s.mem.buf = l.buffer(s, s.size(), s.last, l.purpose(s))
}

// inPlace is the buffer of an operand that s may overwrite: it is as large as
// the output, nothing reads it later, and s reads it as this operand alone.
func (l *lowering) inPlace(s *step) *Buffer {
	if l.o.private {
		return nil
	}
	for _, i := range s.op.Overwrites {
		b := s.in[i].mem.buf
		if b == nil || b.Last != s.pos || b.Bytes != int64(4*s.size()) {
			continue
		}
		alone := true
		for j, other := range s.in {
			alone = alone && (j == i || other.mem.buf != b)
		}
		if alone {
			return b
		}
	}
	return nil
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
		return Again
	}
	return Activation
}

func (l *lowering) buffer(s *step, values, last int, p Purpose) *Buffer {
	b := &Buffer{Name: s.label(), Purpose: p, Bytes: int64(4 * values), First: s.pos, Last: last, index: len(l.bufs)}
	if l.o.private {
		b.First, b.Last = 0, len(l.order)
	}
	l.bufs = append(l.bufs, b)
	return b
}

// gradient is the memory that a block's gradient is added to.
func (l *lowering) gradient(p paramLeaf) []float32 {
	if p.set == l.b.set {
		return p.in(l.o.Grads)
	}
	return p.in(l.o.AdapterGrads)
}

// allocate finds the memory outside the arena and makes the arena, or takes that
// of the machine that is replaced.
func (l *lowering) allocate() {
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
	l.m.lent = l.m.plan.lent
	need := int(l.m.plan.arena / 4)
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

// memory is a buffer's part of the arena, or of the gradients.
func (l *lowering) memory(b *Buffer) []float32 {
	at, n := int(b.Offset/4), int(b.Bytes/4)
	if b.Offset < l.m.lent {
		return l.o.Grads.Data[at : at+n : at+n]
	}
	at -= int(l.m.lent / 4)
	return l.m.arena.Data[at : at+n : at+n]
}

// alignBytes is the alignment of buffers in the arena: one cache line.
const alignBytes = 64

func aligned(n int64) int64 { return (n + alignBytes - 1) / alignBytes * alignBytes }

// place gives every buffer an offset so that buffers alive at the same step do
// not overlap, in the arena or in what is lent, and returns the arena's size. Finding the smallest arena is
// NP-hard (it is interval colouring); two greedy orders are tried and the better
// one is kept: by size, and by size times lifetime.
func place(bufs []*Buffer, in lent) int64 {
	span := func(b *Buffer) int64 { return int64(b.Last - b.First + 1) }
	orders := []func(a, b *Buffer) bool{
		func(a, b *Buffer) bool { return a.Bytes > b.Bytes },
		func(a, b *Buffer) bool { return a.Bytes*span(a) > b.Bytes*span(b) },
	}
	var best int64 = -1
	var offsets []int64
	for _, before := range orders {
		order := append([]*Buffer(nil), bufs...)
		sort.SliceStable(order, func(i, j int) bool { return before(order[i], order[j]) })
		if size := fit(order, in); best < 0 || size < best {
			best, offsets = size, offsets[:0]
			for _, b := range bufs {
				offsets = append(offsets, b.Offset)
			}
		}
	}
	for i, b := range bufs {
		b.Offset = offsets[i]
	}
	return best
}

// fit places the buffers in order, each into the smallest gap that holds it.
func fit(order []*Buffer, in lent) int64 {
	placed := append([]*Buffer(nil), in.walls...) // by offset
	size := in.bytes
	for _, b := range order {
		need := aligned(b.Bytes)
		best, bestGap, at := int64(-1), int64(0), int64(0)
		for _, o := range placed {
			if o.Last < b.First || o.First > b.Last {
				continue
			}
			if gap := o.Offset - at; gap >= need && (best < 0 || gap < bestGap) {
				best, bestGap = at, gap
			}
			at = max(at, aligned(o.Offset+o.Bytes))
		}
		if best < 0 {
			best = at
		}
		b.Offset = best
		size = max(size, best+need)
		i := sort.Search(len(placed), func(i int) bool { return placed[i].Offset > best })
		placed = append(placed, nil)
		copy(placed[i+1:], placed[i:])
		placed[i] = b
	}
	return size - in.bytes
}
