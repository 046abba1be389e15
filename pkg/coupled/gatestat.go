package coupled

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// gateStat is the streaming statistics of one group's gates. Units are numbered
// through all lists: list*units + unit.
type gateStat struct {
	kind         Kind
	layer        int
	moved        bool   // it has the layer's new number: see Evidence.dropLayers
	per          string // dimension of the K/V heads that the lists belong to, "" for one list
	lists, units int
	weight       float64     // n: sequences seen, decayed
	sum          []float64   // sum_n r_n      [lists*units]
	square       []float64   // sum_n r_n^2    [lists*units]
	inter        [][]float64 // sum_n r_n r_n^T of each list [units*units]; nil unless asked for
}

func newGateStat(g Group, interactions bool) *gateStat {
	lists, units := g.Lists, g.Units
	s := &gateStat{kind: g.Kind, layer: g.Layer, per: g.Per, lists: lists, units: units}
	s.sum = make([]float64, lists*units)
	s.square = make([]float64, lists*units)
	if interactions {
		for range lists {
			s.inter = append(s.inter, make([]float64, units*units))
		}
	}
	return s
}

// add takes one sequence: r is [lists*units].
func (s *gateStat) add(r []float32, scale float64) {
	s.weight++
	for i, x := range r {
		y := float64(x) * scale
		s.sum[i] += y
		s.square[i] += y * y
	}
	for l, m := range s.inter {
		part := r[l*s.units : (l+1)*s.units]
		for i, x := range part {
			y := float64(x) * scale * scale
			row := m[i*s.units : (i+1)*s.units]
			for j, z := range part {
				row[j] += y * float64(z)
			}
		}
	}
}

// sums is one sequence from the finer gates of the same things: unit i is the sum of its
// share of r. A gate on a whole head's context has the gradient sum over its units of
// theirs.
func (s *gateStat) sums(r []float32) []float32 {
	n := len(r) / s.units
	sums := make([]float32, s.units)
	for u := range sums {
		total := 0.0
		for _, x := range r[u*n : (u+1)*n] {
			total += float64(x)
		}
		sums[u] = float32(total)
	}
	return sums
}

func (s *gateStat) decay(f float64) {
	s.weight *= f
	for i := range s.sum {
		s.sum[i] *= f
		s.square[i] *= f
	}
	for _, m := range s.inter {
		for i := range m {
			m[i] *= f
		}
	}
}

// check reports whether keep fits this group; cut is the whole cut, which may remove lists.
func (s *gateStat) check(dim string, keep param.Keep, cut param.Cut) error {
	if len(keep) != s.lists {
		return fmt.Errorf("%w: cut of %q has %d lists, expected %d", ErrEvidence, dim, len(keep), s.lists)
	}
	for _, l := range s.alive(cut) {
		for i, u := range keep[l] {
			if u < 0 || u >= s.units || i > 0 && u <= keep[l][i-1] {
				return fmt.Errorf("%w: cut of %q, list %d: unit %d is out of order or not below %d", ErrEvidence, dim, l, u, s.units)
			}
		}
	}
	return nil
}

// alive lists the lists that a cut leaves: all, or the K/V heads that stay.
func (s *gateStat) alive(cut param.Cut) []int {
	if keep, ok := cut[s.per]; ok && s.per != "" && len(keep) > 0 {
		return keep[0]
	}
	return upTo(s.lists)
}

func upTo(n int) []int {
	l := make([]int, n)
	for i := range l {
		l[i] = i
	}
	return l
}

func (s *gateStat) shrink(dim string, cut param.Cut) {
	alive := s.alive(cut)
	keep, here := cut[dim]
	if !here && len(alive) == s.lists {
		return
	}
	var sum, square []float64
	var inter [][]float64
	units := s.units
	for _, l := range alive {
		kept := upTo(s.units)
		if here {
			kept = keep[l]
		}
		units = len(kept)
		for _, u := range kept {
			sum = append(sum, s.sum[l*s.units+u])
			square = append(square, s.square[l*s.units+u])
		}
		if s.inter != nil {
			m := make([]float64, 0, units*units)
			for _, u := range kept {
				for _, v := range kept {
					m = append(m, s.inter[l][u*s.units+v])
				}
			}
			inter = append(inter, m)
		}
	}
	s.sum, s.square, s.inter = sum, square, inter
	s.lists, s.units = len(alive), units
}
