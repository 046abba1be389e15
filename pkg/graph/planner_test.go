package graph

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"gorgonia.org/tensor"
)

// TestPlanMemory: for random steps, no two buffers that are alive together overlap, what a
// step reads is alive and not overwritten before, and the operands are as they were.
func TestPlanMemory(t *testing.T) {
	ops := []*Op{{}, {Overwrites: []int{0}}, {Overwrites: []int{1, 0}}, {Saves: func([]tensor.Shape) []int { return []int{3} }}, {Scratch: func([]tensor.Shape) int { return 5 }}}
	shared := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := make([]need, 2+rng.IntN(20))
		for i := range steps {
			s := need{op: ops[rng.IntN(len(ops))], bytes: int64(4 + rng.IntN(3)*64), bf16: rng.IntN(3) == 0, output: rng.IntN(6) == 0, purpose: Activation}
			for range 2 {
				s.in = append(s.in, rng.IntN(i+1)-1)
			}
			if s.op.Saves != nil {
				s.saves = []int{3}
			}
			if s.op.Scratch != nil {
				s.scratch = 5
			}
			if i > 2 && steps[i-1].op.Saves != nil && rng.IntN(2) == 0 { // a view of what the step before saved
				s = need{op: &Op{View: View{SavedPart, 0}}, in: []int{i - 1}, bytes: 12}
			}
			steps[i] = s
		}
		before := append([]need(nil), steps...)
		p := planMemory(steps, nil, gradSpace{}, false)
		if !reflect.DeepEqual(before, steps) {
			t.Fatalf("seed %d: the steps were changed", seed)
		}
		if q := planMemory(steps, nil, gradSpace{}, false); !reflect.DeepEqual(p, q) {
			t.Fatalf("seed %d: planned twice, it differs", seed)
		}
		for i, a := range p.bufs {
			for _, b := range p.bufs[:i] {
				if a.First <= b.Last && b.First <= a.Last && a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes {
					t.Fatalf("seed %d: %+v and %+v overlap", seed, a, b)
				}
			}
			if a.Offset+a.Bytes > p.arena {
				t.Fatalf("seed %d: %+v is beyond the arena of %d bytes", seed, a, p.arena)
			}
		}
		owner := map[*Buffer]int{} // the step whose output a buffer holds
		for i, s := range steps {
			for _, o := range s.in {
				if o < 0 || s.op.View.Kind == SavedPart {
					continue
				}
				if b := p.rooms[o].out; owner[b] != o || b.First > i || b.Last < i {
					t.Fatalf("seed %d: step %d reads step %d, whose buffer %+v holds step %d", seed, i, o, b, owner[b])
				}
			}
			if b := p.rooms[i].out; b != nil {
				if _, was := owner[b]; was {
					shared++
				}
				owner[b] = i
			}
		}
		for i, s := range steps {
			if s.output && owner[p.rooms[i].out] != i {
				t.Fatalf("seed %d: the output of step %d was overwritten by step %d", seed, i, owner[p.rooms[i].out])
			}
		}
	}
	if shared == 0 {
		t.Error("no step overwrote an operand")
	}
}
