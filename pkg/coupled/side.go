package coupled

import "github.com/ecospa/ecospa/pkg/param"

// Side is on which side of the group's pairs a parameter stands (param.Side).
func (g *Group) Side(p *param.Param) param.Side { return p.Dims[dimAt(p, g.Dim)].Side }

// dimAt is the index of the named dimension of p, -1 if it has none.
func dimAt(p *param.Param, name string) int {
	for i, d := range p.Dims {
		if d.Name == name {
			return i
		}
	}
	return -1
}

// Rows calls each for every row of p that belongs to unit u of list l: its
// first element and its length. Rows are what comes after the unit's dimension
// (both rows of a rotation pair together); a group of query heads gives R rows a unit.
func (g *Group) Rows(p *param.Param, list, unit int, each func(at, n int)) {
	at := dimAt(p, g.Dim)
	per := -1
	if g.Per != "" {
		per = dimAt(p, g.Per)
	}
	inner := 1
	for _, d := range p.Dims[at+1:] {
		inner *= d.Size
	}
	var walk func(dim, base int)
	walk = func(dim, base int) {
		d := p.Dims[dim]
		switch {
		case dim == at:
			each((base*d.Size+unit)*inner, inner)
		case dim == per:
			walk(dim+1, base*d.Size+list)
		default:
			for i := 0; i < d.Size; i++ {
				walk(dim+1, base*d.Size+i)
			}
		}
	}
	walk(0, 0)
}
