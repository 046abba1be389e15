package coupled

import (
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// role says on which side of a coupled pair a parameter stands.
//
//	kind   side A          side B
//	qk     q (R heads)     k
//	vo     v               o (R heads)
//	ffn    in, gate, up    out, down
//	head   q, k, v         o
//
// The side of q and o is known by the query-head dimension that stands between
// the K/V heads and the units; out and down by name. Biases stand with their rows.
type role int

const (
	sideA role = iota
	sideB
)

func (g *Group) role(p *param.Param) role {
	switch g.Kind {
	case QK:
		if dimAt(p, g.Dim) > dimAt(p, g.Per)+1 {
			return sideA
		}
		return sideB
	case VO:
		if dimAt(p, g.Dim) > dimAt(p, g.Per)+1 {
			return sideB
		}
		return sideA
	case FFN:
		if consumes(p.Name) {
			return sideB
		}
		return sideA
	}
	// Head: o is the one that carries vo units behind a query-head dimension.
	for i, d := range p.Dims {
		if _, k, ok := parseDim(d.Name); ok && k == VO && i > dimAt(p, g.Dim)+1 {
			return sideB
		}
	}
	return sideA
}

// consumes reports whether a feed-forward parameter reads the hidden channels.
func consumes(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last == "out" || last == "down"
}

// dimAt is the index of the named dimension of p, -1 if it has none.
func dimAt(p *param.Param, name string) int {
	for i, d := range p.Dims {
		if d.Name == name {
			return i
		}
	}
	return -1
}

// rowsOf calls each for every row of p that belongs to unit u of list l: its
// first element and its length. Rows are what lies behind the unit's dimension
// (both rows of a rotation pair together); a group of query heads gives R rows a unit.
func (g *Group) rowsOf(p *param.Param, list, unit int, each func(at, n int)) {
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
