package coupled

import "github.com/ecospa/ecospa/pkg/param"

// Without is the gates that e saw and part, evidence of a part of the same sequences, did not:
// the other half, where part is one. It has nothing beside gates.
func (e *Evidence) Without(part *Evidence, set *param.Set) *Evidence {
	out := NewEvidence(set, Options{WholeLayers: e.options.WholeLayers})
	for dim, s := range out.gates {
		all, some := e.gates[dim], part.gates[dim]
		s.weight = all.weight - some.weight
		for i := range s.sum {
			s.sum[i] = all.sum[i] - some.sum[i]
			s.square[i] = max(0, all.square[i]-some.square[i]) // rounding
		}
	}
	return out
}

// Overlap is the share, by parameters, of what one plan removes that the other removes as
// well: 1 for equal plans. Both are of one model and remove as much.
func Overlap(a, b *Plan) float64 {
	of := map[string]*Decision{}
	for i := range b.Decisions {
		of[b.Decisions[i].Dim] = &b.Decisions[i]
	}
	both, gone := 0.0, 0.0
	for _, d := range a.Decisions {
		cost := float64(d.Before) / float64(d.Units*len(d.Kept))
		for l, kept := range d.Kept {
			left := map[int]bool{}
			for _, u := range kept {
				left[u] = true
			}
			gone += cost * float64(d.Units-len(kept))
			other := map[int]bool{}
			if o := of[d.Dim]; o != nil && l < len(o.Kept) {
				for _, u := range o.Kept[l] {
					other[u] = true
				}
			}
			for u := range d.Units {
				if !left[u] && !other[u] {
					both += cost
				}
			}
		}
	}
	if gone == 0 {
		return 1
	}
	return both / gone
}

// Clusters is the number of groups, or sets of groups that a layout ties together, whose
// sensitivity is measured (see Request.Every).
func Clusters(r Request) (int, error) {
	r.Budget = Budget{}
	p, err := newProblem(r)
	if err != nil {
		return 0, err
	}
	return p.measures(), nil
}
