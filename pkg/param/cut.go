package param

import (
	"errors"
	"fmt"
)

// Keep lists the units of one dimension that stay, ascending. It has one list
// for each index of the dimension's Per (the index before the cut; lists of an
// index that is itself cut are ignored), or a single list when Per is "".
// Lists of one dimension have equal lengths, so that every matrix stays rectangular.
type Keep [][]int

// Cut says which units stay, by dimension name. Dimensions it does not name stay whole.
type Cut map[string]Keep

// ErrCut is returned when a Cut does not fit the Set it is applied to.
var ErrCut = errors.New("param: cut does not fit")

// Check reports whether the cut fits the set: known dimensions, ascending
// units in range, equal lengths, nothing emptied.
func (s *Set) Check(c Cut) error {
	for name, keep := range c {
		d, ok := s.dims[name]
		if !ok {
			return fmt.Errorf("%w: no dimension %q", ErrCut, name)
		}
		if d.Kind == Layer {
			if err := s.checkLayer(name, keep); err != nil {
				return err
			}
			continue
		}
		lists := 1
		alive := map[int]bool{0: true}
		if d.Per != "" {
			lists = s.dims[d.Per].Size
			alive = s.alive(c, d.Per)
		}
		if len(keep) != lists {
			return fmt.Errorf("%w: dimension %q has %d lists, expected %d", ErrCut, name, len(keep), lists)
		}
		size := -1
		for g, l := range keep {
			if !alive[g] {
				continue
			}
			if size < 0 {
				size = len(l)
			}
			if len(l) == 0 || len(l) != size {
				return fmt.Errorf("%w: dimension %q keeps %d units in list %d and %d in another; expected equal and at least one", ErrCut, name, len(l), g, size)
			}
			for i, u := range l {
				if u < 0 || u >= d.Size || i > 0 && u <= l[i-1] {
					return fmt.Errorf("%w: dimension %q list %d: unit %d is out of order or not below %d", ErrCut, name, g, u, d.Size)
				}
			}
		}
	}
	if n := len(s.from); n > 0 && len(c.Left(n)) == 0 {
		return fmt.Errorf("%w: all of the %d layers go, expected one to stay", ErrCut, n)
	}
	return nil
}

// alive is the set of indices of dim that stay.
func (s *Set) alive(c Cut, dim string) map[int]bool {
	m := map[int]bool{}
	if k, ok := c[dim]; ok && len(k) > 0 {
		for _, u := range k[0] {
			m[u] = true
		}
		return m
	}
	for i := 0; i < s.dims[dim].Size; i++ {
		m[i] = true
	}
	return m
}

// run is a stretch of elements that moves together.
type run struct{ src, n int }

// Shrink applies the cut to the weights and to every slab given (gradients,
// moments), in place, one forward sweep over each, then releases the freed
// tails. Weights that are not float32 are cut as they are stored. Nothing is changed when it
// returns an error.
//
// A layer that goes takes its parameters along; those after it change their numbers, and with
// them their names. Views of parameters and blocks taken before are dead after it.
func (s *Set) Shrink(c Cut, slabs ...*Slab) error {
	if err := s.Check(c); err != nil {
		return err
	}
	if s.Weights != nil {
		slabs = append([]*Slab{s.Weights}, slabs...)
	}
	for _, sl := range slabs {
		if len(sl.Data) != s.length {
			return fmt.Errorf("%w: a slab has %d elements, the weights %d", ErrCut, len(sl.Data), s.length)
		}
	}
	// Sources in the old layout, destinations in the new one.
	src := make(map[*Param][]run, len(s.Params))
	old := map[*Block]int{}
	for _, p := range s.Params {
		src[p] = p.runs(c)
	}
	for _, b := range s.Blocks {
		old[b] = b.Offset
	}
	if err := s.storedFits(src, old); err != nil {
		return err
	}
	s.resize(c)
	s.dropLayers(c)
	if err := s.place(); err != nil {
		return err
	}
	s.shrinkStored(src, old)
	for _, sl := range slabs {
		s.move(sl, src)
		sl.Truncate(s.length)
	}
	return nil
}

// move brings the runs that stay to their places in a slab. Of the weights only blocks of
// float32 are there.
func (s *Set) move(sl *Slab, src map[*Param][]run) {
	for i, b := range s.Blocks {
		if b.slab != nil && sl == s.Weights {
			continue
		}
		at := b.Offset
		for _, p := range b.Params {
			for _, r := range src[p] {
				copy(sl.Data[at:at+r.n], sl.Data[r.src:r.src+r.n])
				at += r.n
			}
		}
		end := s.length
		if i+1 < len(s.Blocks) {
			end = s.Blocks[i+1].Offset
		}
		clear(sl.Data[at:end]) // padding stays zero
	}
}

// resize gives the dimensions their sizes after the cut, and tracked ones their origins.
func (s *Set) resize(c Cut) {
	for name := range s.origin {
		d := s.dims[name]
		keep, cutHere := c[name]
		var of [][]int
		alive := map[int]bool{0: true}
		if d.Per != "" {
			alive = s.alive(c, d.Per)
		}
		for g, l := range s.origin[name] {
			if !alive[g] {
				continue
			}
			if !cutHere {
				of = append(of, l)
				continue
			}
			kept := make([]int, len(keep[g]))
			for i, u := range keep[g] {
				kept[i] = l[u]
			}
			of = append(of, kept)
		}
		s.origin[name] = of
	}
	// Sizes change only after every origin has been read in the old ones.
	sizes := map[string]int{}
	for name, keep := range c {
		alive := map[int]bool{0: true}
		if per := s.dims[name].Per; per != "" {
			alive = s.alive(c, per)
		}
		for g, l := range keep {
			if alive[g] {
				sizes[name] = len(l)
				break
			}
		}
	}
	for name, n := range sizes {
		d := s.dims[name]
		d.Size = n
		s.dims[name] = d
	}
	for _, p := range s.Params {
		for i, d := range p.Dims {
			if d.Name != "" {
				p.Dims[i].Size = s.dims[d.Name].Size
			}
		}
	}
}

// runs lists the stretches of p that the cut keeps, in order, in the old layout.
func (p *Param) runs(c Cut) []run {
	var out []run
	index := make([]int, len(p.Dims))
	var walk func(dim, base, stride int)
	walk = func(dim, base, stride int) {
		if dim == len(p.Dims) || !p.cutFrom(dim, c) {
			if k := len(out); k > 0 && out[k-1].src+out[k-1].n == base {
				out[k-1].n += stride
			} else {
				out = append(out, run{src: base, n: stride})
			}
			return
		}
		d := p.Dims[dim]
		inner := stride / d.Size
		each := func(u int) {
			index[dim] = u
			walk(dim+1, base+u*inner, inner)
		}
		keep, ok := c[d.Name]
		if !ok || d.Name == "" {
			for u := 0; u < d.Size; u++ {
				each(u)
			}
			return
		}
		list := 0
		for i := 0; d.Per != "" && i < dim; i++ {
			if p.Dims[i].Name == d.Per {
				list = index[i]
			}
		}
		for _, u := range keep[list] {
			each(u)
		}
	}
	walk(0, p.Offset, p.Size())
	return out
}

// cutFrom reports whether the cut names dimension dim of p or a later one.
func (p *Param) cutFrom(dim int, c Cut) bool {
	for _, d := range p.Dims[dim:] {
		if _, ok := c[d.Name]; ok && d.Name != "" {
			return true
		}
	}
	return false
}
