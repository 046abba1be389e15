package checkpoint

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// byHeads is one segment whose rows are heads: in each, the parts' shares of that head
// side by side, a split part in two pieces.
func byHeads(set *param.Set, parts []Part, heads int) (segment, error) {
	s := segment{rows: heads, least: 1}
	total := 0
	for _, part := range parts {
		total += set.Param(part.Param).Size()
	}
	if heads < 1 || total%heads != 0 {
		return s, fmt.Errorf("%d elements do not make %d heads", total, heads)
	}
	s.width = total / heads
	at := 0
	for _, part := range parts {
		p := set.Param(part.Param)
		dims, err := permute(p, part.Perm)
		if err != nil {
			return s, err
		}
		lead, ok := prefix(dims, heads)
		if !ok {
			return s, fmt.Errorf("%s cannot be cut into %d heads", p, heads)
		}
		add := func(dims []axis, base int) {
			pc := piece{p: p, at: at, base: base, dims: merge(inFile(dims[:lead], s.width))}
			if pc.lead = len(pc.dims); pc.lead == 0 { // one head
				pc.dims, pc.lead = []axis{{1, s.width, 0}}, 1
			}
			inner := merge(inFile(dims[lead:], 1))
			pc.dims = append(pc.dims, inner...)
			s.pieces = append(s.pieces, pc)
			n := 1
			for _, d := range dims[lead:] {
				n *= d.n
			}
			at += n
		}
		if part.Split == 0 {
			add(dims, 0)
			continue
		}
		if part.At+1 >= len(p.Dims) || part.Perm != nil || lead > part.At || p.Dims[part.At+1].Size != 2 || part.Split > p.Dims[part.At].Size {
			return s, fmt.Errorf("%s cannot be split after %d pairs of dimension %d", p, part.Split, part.At)
		}
		turned := append([]axis(nil), dims...)
		turned[part.At], turned[part.At+1] = dims[part.At+1], dims[part.At]
		turned[part.At+1].n = part.Split
		add(turned, 0)
		if rest := dims[part.At].n - part.Split; rest > 0 {
			others := append([]axis(nil), dims...)
			others[part.At].n = rest
			add(others, part.Split*dims[part.At].param)
		}
	}
	if at != s.width {
		return s, fmt.Errorf("heads have %d elements, expected %d", at, s.width)
	}
	return s, nil
}

// shapeOf is the sizes of a parameter's dimensions.
func shapeOf(p *param.Param) []int {
	var out []int
	for _, d := range p.Dims {
		out = append(out, d.Size)
	}
	return out
}
