package coupled

import (
	"slices"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// Units is a number for every unit of a model, for kinds of evidence that sum
// something up by unit. It visits and shrinks itself:
//
//	u := coupled.NewUnits(set)
//	s := &coupled.Statistic{Value: u, Visit: u.Visit, Shrink: u.Shrink, Gates: func(dim string, r []float64) {
//		u.Seen(dim)
//		for i, x := range r {
//			u.Of(dim)[i] += math.Abs(x)
//		}
//	}}
type Units struct{ by map[string]*unitTable }

type unitTable struct {
	layer        int
	per          string
	lists, units int
	seen         []float64 // one number, so that Visit has it
	values       []float64 // [lists*units]
}

// NewUnits is zero for every unit of the set.
func NewUnits(set *param.Set) *Units {
	u := &Units{map[string]*unitTable{}}
	for _, g := range Groups(set) {
		u.by[g.Dim] = &unitTable{g.Layer, g.Per, g.Lists, g.Units, make([]float64, 1), make([]float64, g.Lists*g.Units)}
	}
	return u
}

// Of is the numbers of a dimension's units, list after list: [lists*units].
func (u *Units) Of(dim string) []float64 { return u.by[dim].values }

// Seen counts one more sequence at a dimension.
func (u *Units) Seen(dim string) { u.by[dim].seen[0]++ }

// Mean is the numbers of a group's units over the sequences seen, [lists][units]; nil
// where none was.
func (u *Units) Mean(g Group) [][]float64 {
	t := u.by[g.Dim]
	if t == nil || t.seen[0] == 0 || t.lists != g.Lists || t.units != g.Units {
		return nil
	}
	out := g.Table()
	for l := range out {
		for i := range out[l] {
			out[l][i] = t.values[l*g.Units+i] / t.seen[0]
		}
	}
	return out
}

// Visit is Statistic.Visit.
func (u *Units) Visit(each func(f64 []float64, f32 []float32) error) error {
	var dims []string
	for dim := range u.by {
		dims = append(dims, dim)
	}
	sort.Strings(dims)
	for _, dim := range dims {
		if err := each(u.by[dim].seen, nil); err != nil {
			return err
		}
		if err := each(u.by[dim].values, nil); err != nil {
			return err
		}
	}
	return nil
}

// Shrink is Statistic.Shrink.
func (u *Units) Shrink(cut param.Cut) {
	for dim, t := range u.by {
		lists := upTo(t.lists)
		if keep, ok := cut[t.per]; ok && t.per != "" && len(keep) > 0 {
			lists = keep[0]
		}
		kept := slices.Repeat([][]int{upTo(t.units)}, t.lists)
		if keep, ok := cut[dim]; ok {
			kept = keep
		}
		var values []float64
		units := t.units
		for _, l := range lists {
			units = len(kept[l])
			for _, i := range kept[l] {
				values = append(values, t.values[l*t.units+i])
			}
		}
		t.values, t.lists, t.units = values, len(lists), units
	}
	u.dropLayers(cut)
}

// dropLayers gives the layers that a cut leaves their new numbers.
func (u *Units) dropLayers(cut param.Cut) {
	n := 0
	for _, t := range u.by {
		n = max(n, t.layer+1)
	}
	left := cut.Left(n)
	if len(left) == n {
		return
	}
	by := map[string]*unitTable{}
	for dim, t := range u.by {
		if to := slices.Index(left, t.layer); to >= 0 {
			by[param.RenameLayer(dim, t.layer, to)] = &unitTable{to, param.RenameLayer(t.per, t.layer, to), t.lists, t.units, t.seen, t.values}
		}
	}
	u.by = by
}
