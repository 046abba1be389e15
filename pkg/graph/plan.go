package graph

import "sort"

// Buffer is one stretch of the arena over the steps in which its value is alive.
type Buffer struct {
	Name        string // of the node that made it
	Bytes       int64
	Offset      int64 // in the arena
	First, Last int   // steps of the plan, inclusive
	Saved       bool  // kept for the backward pass beside an output
}

// PlanStep is one operation of a machine, in the order of running.
type PlanStep struct {
	Name     string
	Shape    []int
	Backward bool
	FLOPs    int64
}

// Plan is what a machine will do and what memory it takes; it is known before the first run.
type Plan struct {
	Steps   []PlanStep
	Buffers []Buffer
	arena   int64
	values  int64
}

// ArenaBytes is the memory of all values of a run together.
func (p *Plan) ArenaBytes() int64 { return p.arena }

// ValueBytes is what the values would take if none shared memory with another.
func (p *Plan) ValueBytes() int64 { return p.values }

// FLOPs is the floating-point operations of the matrix products of a run, a
// multiply-add counting two.
func (p *Plan) FLOPs() int64 {
	var n int64
	for _, s := range p.Steps {
		n += s.FLOPs
	}
	return n
}

// alignBytes is the alignment of buffers in the arena: one cache line.
const alignBytes = 64

// place gives every buffer an offset so that buffers alive at the same step do
// not overlap: largest first, each into the smallest gap that holds it. It
// returns the arena's size.
func place(bufs []*Buffer) int64 {
	order := append([]*Buffer(nil), bufs...)
	sort.SliceStable(order, func(i, j int) bool { return order[i].Bytes > order[j].Bytes })
	var placed []*Buffer // by offset
	var size int64
	for _, b := range order {
		need := (b.Bytes + alignBytes - 1) / alignBytes * alignBytes
		best, bestGap, at := int64(-1), int64(0), int64(0)
		for _, o := range placed {
			if o.Last < b.First || o.First > b.Last {
				continue
			}
			if gap := o.Offset - at; gap >= need && (best < 0 || gap < bestGap) {
				best, bestGap = at, gap
			}
			end := o.Offset + (o.Bytes+alignBytes-1)/alignBytes*alignBytes
			at = max(at, end)
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
	return size
}
