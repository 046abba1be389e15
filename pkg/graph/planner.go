package graph

import "sort"

// need is what the planner knows of a step: saves and scratch are numbers of float32 values.
type need struct {
	label   string
	purpose Purpose
	op      *Op   // what it says of its memory
	in      []int // operands: steps, -1 for what is no step
	bytes   int64 // of the output
	bf16    bool  // the output is bfloat16, else float32
	saves   []int // of each part that it saves
	scratch int   // while it runs
	slab    bool  // its output goes to the gradient slab
	output  bool  // it is read after the run
}

// rooms is where the values of a step live; nil is no buffer.
type rooms struct {
	out, work *Buffer
	saved     []*Buffer
}

// memoryPlan is where everything lives: the buffers in the order of their making, and the
// rooms of each step.
type memoryPlan struct {
	bufs  []*Buffer
	rooms []rooms
	arena int64 // bytes
}

// planMemory decides which values share memory and where every buffer lies. It is a
// function of its operands and changes none of them but for the offsets of held: buffers
// whose lifetimes are known, the first in the plan. private gives every value a buffer
// of its own that is never free.
func planMemory(steps []need, held []*Buffer, in gradSpace, private bool) memoryPlan {
	p := planner{steps: steps, private: private}
	p.bufs = append(p.bufs, held...)
	p.lifetimes()
	p.rooms = make([]rooms, len(steps))
	for i := range steps {
		p.store(i)
	}
	p.arena = place(p.bufs, in)
	return p.memoryPlan
}

type planner struct {
	steps           []need
	private         bool
	last, lastSaved []int // the last step that reads each step's output, and what it saves
	memoryPlan
}

// lifetimes finds the last readers.
func (p *planner) lifetimes() {
	n := len(p.steps)
	p.last, p.lastSaved = make([]int, n), make([]int, n)
	for i, s := range p.steps {
		p.last[i], p.lastSaved[i] = i, i
		if s.output {
			p.last[i] = n
		}
	}
	// Backwards, so that a view's lifetime is known before what it views.
	for i := n - 1; i >= 0; i-- {
		s := p.steps[i]
		for k, o := range s.in {
			if o < 0 {
				continue
			}
			part := k == 0 && s.op.View.Kind == SavedPart
			if part || has(s.op.SavedOf, k) {
				p.lastSaved[o] = max(p.lastSaved[o], i)
			}
			if !part && !has(s.op.Unread, k) {
				p.last[o] = max(p.last[o], i)
			}
		}
	}
}

// store decides in which buffers the values of step i live.
func (p *planner) store(i int) {
	s, r := p.steps[i], &p.rooms[i]
	for _, n := range s.saves {
		r.saved = append(r.saved, p.buffer(i, int64(4*n), p.lastSaved[i], Saved))
	}
	if s.op.Scratch != nil {
		r.work = p.buffer(i, int64(4*s.scratch), i, Scratch)
	}
	switch s.op.View.Kind {
	case SavedPart:
		r.out = p.rooms[s.in[0]].saved[s.op.View.Index]
	case Deposit:
		return
	default:
		if s.slab {
			return
		}
		if r.out = p.inPlace(i); r.out == nil {
			r.out = p.buffer(i, s.bytes, p.last[i], s.purpose)
			return
		}
	}
	r.out.Last = max(r.out.Last, p.last[i])
}

// inPlace is the buffer of an operand that step i may overwrite: it is as large as
// the output and of its type, nothing reads it later, and the step reads it as this operand only.
func (p *planner) inPlace(i int) *Buffer {
	if p.private {
		return nil
	}
	s := p.steps[i]
	of := func(k int) *Buffer {
		if o := s.in[k]; o >= 0 {
			return p.rooms[o].out
		}
		return nil
	}
	for _, k := range s.op.Overwrites {
		b := of(k)
		if b == nil || b.Last != i || b.Bytes != s.bytes || p.steps[s.in[k]].bf16 != s.bf16 {
			continue
		}
		once := true
		for j := range s.in {
			once = once && (j == k || of(j) != b)
		}
		if once {
			return b
		}
	}
	return nil
}

func (p *planner) buffer(i int, bytes int64, last int, purpose Purpose) *Buffer {
	b := &Buffer{Name: p.steps[i].label, Purpose: purpose, Bytes: bytes, First: i, Last: last, index: len(p.bufs)}
	if p.private {
		b.First, b.Last = 0, len(p.steps)
	}
	p.bufs = append(p.bufs, b)
	return b
}

// alignBytes is the alignment of buffers in the arena: one cache line.
const alignBytes = 64

func aligned(n int64) int64 { return (n + alignBytes - 1) / alignBytes * alignBytes }

// place gives every buffer an offset so that buffers alive at the same step do
// not overlap, in the arena or in the gradients' memory, and returns the arena's size. Finding the smallest arena is
// NP-hard (it is interval colouring); two greedy orders are tried and the better
// one is kept: by size, and by size times lifetime.
func place(bufs []*Buffer, in gradSpace) int64 {
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
func fit(order []*Buffer, in gradSpace) int64 {
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
