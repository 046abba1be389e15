package graph

// Purpose says what a buffer of the arena is for.
type Purpose string

// The purposes of buffers.
const (
	Activation      Purpose = "activation" // a value of the forward pass
	Saved           Purpose = "saved"      // kept beside a value for the backward pass: statistics, the head's gradient
	Gradient        Purpose = "gradient"   // of a value of the forward pass
	RecomputedValue Purpose = "recomputed" // a value of the forward pass, computed a second time
	Evidence        Purpose = "evidence"   // gate gradients
	// WeightGradient is of a block of parameters, with LowerOptions.Update.
	WeightGradient Purpose = "weight gradient"
	Scratch        Purpose = "scratch" // an operation's while it runs: logits of some rows
)

// Purposes lists them in the order in which they are shown.
var Purposes = []Purpose{Activation, Saved, Gradient, RecomputedValue, Evidence, WeightGradient, Scratch}

// Buffer is one stretch of the arena over the steps in which its values are
// alive. Values that an operation overwrites in place share one.
type Buffer struct {
	Name        string // of the operation that made it
	Purpose     Purpose
	Bytes       int64
	Offset      int64 // bytes, in the arena; with LowerOptions.InGradients in the gradient slab and the arena after it
	First, Last int   // steps of the plan, inclusive; outputs last one step longer than the plan
	index       int
}

// PlanStep is one operation of a machine, in the order of running.
type PlanStep struct {
	Name  string // operation with its attributes
	Phase Phase
	Shape []int // of the output; empty for a scalar
	FLOPs int64 // of its matrix products, a multiply-add counting two
	// In has the operands: step i as i, leaf i of the plan as -1-i.
	In []int
	// Of is the step of the forward pass whose gradient or gate this is, or which
	// it recomputes; its own number in the forward pass.
	Of int
	// Buffer is where the output lives, an index into Buffers, or -1: in the
	// gradient slab, or nowhere.
	Buffer int
	// Grads names the blocks of parameters to whose gradients it adds its output.
	Grads []string
}

// PlanLeaf is a value that a run is given.
type PlanLeaf struct {
	Name  string
	Param bool // a block of parameters, else an input or a constant
	Shape []int
}

// Plan is what a machine will do and what memory it takes; it is known before the first run.
type Plan struct {
	Leaves     []PlanLeaf
	Steps      []PlanStep
	Buffers    []Buffer
	Outputs    map[string]int // step of each output; as In for leaves
	arena      int64
	arenaStart int64 // where the arena begins among offsets; those below are in the gradient slab
	values     int64
}

// ArenaBytes is the memory of all values of a run together, without what they take
// of the gradients' (InGradientBytes).
func (p *Plan) ArenaBytes() int64 { return p.arena }

// ValueBytes is what the values would take if none shared memory with another.
func (p *Plan) ValueBytes() int64 { return p.values }

// Peak is the step at which most memory is alive, and the bytes of each purpose
// at it. What the arena has beyond their sum is lost between buffers.
func (p *Plan) Peak() (step int, bytes map[Purpose]int64) {
	var top int64 = -1
	for i := range p.Steps {
		var sum int64
		for _, b := range p.Buffers {
			if b.First <= i && i <= b.Last {
				sum += b.Bytes
			}
		}
		if sum > top {
			top, step = sum, i
		}
	}
	bytes = map[Purpose]int64{}
	for _, b := range p.Buffers {
		if b.First <= step && step <= b.Last {
			bytes[b.Purpose] += b.Bytes
		}
	}
	return step, bytes
}

// GradientBytes is the most that gradients of blocks of parameters take of the arena at one
// time, with LowerOptions.Update.
func (p *Plan) GradientBytes() (most int64) {
	for i := range p.Steps {
		var sum int64
		for _, b := range p.Buffers {
			if b.Purpose == WeightGradient && b.First <= i && i <= b.Last {
				sum += b.Bytes
			}
		}
		most = max(most, sum)
	}
	return most
}

// FLOPs is the floating-point operations of the matrix products that a run
// needs, a multiply-add counting two, causal attention half. What is recomputed
// to save memory does not count.
func (p *Plan) FLOPs() int64 {
	var n int64
	for _, s := range p.Steps {
		if s.Phase != Recomputed {
			n += s.FLOPs
		}
	}
	return n
}

// ForwardFLOPs is those of FLOPs that the forward pass makes.
func (p *Plan) ForwardFLOPs() int64 { return p.flopsOf(Forward) }

// RecomputedFLOPs is what recomputing adds to FLOPs.
func (p *Plan) RecomputedFLOPs() int64 { return p.flopsOf(Recomputed) }

func (p *Plan) flopsOf(ph Phase) int64 {
	var n int64
	for _, s := range p.Steps {
		if s.Phase == ph {
			n += s.FLOPs
		}
	}
	return n
}

// plan places the buffers and describes the lowered graph.
func (l *lowering) plan() *Plan {
	p := &Plan{Outputs: map[string]int{}}
	for _, s := range l.order {
		if s.mem.buf != nil && s.op.View.Kind != SavedPart {
			p.values += s.bytes()
		}
		for _, b := range s.mem.saved {
			p.values += b.Bytes
		}
	}
	p.arena, p.arenaStart = l.arena, l.arenaStart
	for _, b := range l.bufs {
		p.Buffers = append(p.Buffers, *b)
	}
	at := map[*step]int{}
	for i, s := range l.leaves {
		at[s] = -1 - i
		p.Leaves = append(p.Leaves, PlanLeaf{s.node.Name(), l.b.params[s.node.Name()].node == s.node, s.shape()})
	}
	owner := l.owners()
	for i, s := range l.order {
		at[s] = i
		ps := PlanStep{Name: s.op.Name, Phase: s.phase, Shape: s.shape(), Of: i, Buffer: -1}
		if s.op.FLOPs != nil {
			ps.FLOPs = s.op.FLOPs(s.shapes(), s.shape())
		}
		for _, o := range s.in {
			ps.In = append(ps.In, at[o])
		}
		if s.mem.buf != nil {
			ps.Buffer = s.mem.buf.index
		}
		for _, p := range s.terms {
			ps.Grads = append(ps.Grads, p.block.Name)
		}
		if of, ok := owner[s]; ok {
			ps.Of = of
		}
		p.Steps = append(p.Steps, ps)
	}
	for _, o := range l.outputs {
		p.Outputs[o.name] = at[o.step]
	}
	return p
}

// owners finds for each step of the backward pass the one of the forward pass
// that it belongs to.
func (l *lowering) owners() map[*step]int {
	out := map[*step]int{}
	byID := map[int64]int{} // node made by SymDiff -> step of the forward pass
	for i, s := range l.order {
		if a, ok := s.node.Op().(*adapter); ok && s.phase == Forward {
			for id := a.grads[0]; id < a.grads[1]; id++ {
				byID[id] = i
			}
		}
	}
	first := map[*Node]int{}
	for i, s := range l.order {
		if _, seen := first[s.node]; !seen {
			first[s.node] = i
		}
	}
	for i, s := range l.order {
		switch {
		case s.phase == Recomputed:
			out[s] = first[s.node]
		case s.phase == Forward:
			out[s] = i
		default:
			if of, ok := byID[s.node.ID()]; ok {
				out[s] = of
			} else if of := s.node.DerivOf(); len(of) > 0 { // a sum of gradients
				out[s] = first[of[0]]
			} else if len(s.in) > 0 { // a gate, or inside of an operation of Gorgonia's own
				of := first[s.in[0].node]
				if l.order[of].phase != Forward {
					of = out[l.order[of]]
				}
				out[s] = of
			}
		}
	}
	return out
}
