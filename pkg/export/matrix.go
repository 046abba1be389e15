package export

import (
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// rows picks rows of a parameter, runs of `width` elements: the ones named, in
// their order, each times scale; a row of -1 is zero. nil picks all.
type rows struct {
	p     *param.Param
	width int // 1 for a bias, whose elements are picked
	pick  []int
	scale float32
	shift float32 // added to the scaled rows; rows of zeros stay zero
}

// take picks rows of a parameter whose last dimension is the residual width, or
// elements of a bias.
func take(p *param.Param, width int, pick []int) rows {
	return rows{p: p, width: width, pick: pick, scale: 1}
}

func (r rows) count() int {
	if r.pick == nil {
		return r.p.Size() / r.width
	}
	return len(r.pick)
}

// row is elements lo to hi of picked row i, nil for a row of zeros; buf, as long, may hold
// what was widened.
func (r rows) row(buf []float32, i, lo, hi int) []float32 {
	if r.pick != nil {
		i = r.pick[i]
	}
	if i < 0 {
		return nil
	}
	return r.p.Floats(buf, i*r.width+lo, i*r.width+hi)
}

// vector is a tensor [n] of picked elements.
func vector(name string, parts ...rows) checkpoint.Stream {
	s := stacked(name, parts...)
	s.Shape = s.Shape[:1]
	return s
}

// stacked is a tensor [rows, width] of the picked rows, one part below the other.
func stacked(name string, parts ...rows) checkpoint.Stream {
	n := 0
	for _, p := range parts {
		n += p.count()
	}
	width := parts[0].width
	return checkpoint.Stream{Name: name, Shape: []int{n, width}, Fill: func(dst []float32, lo, hi int) {
		first, buf := 0, make([]float32, width) // first is the row of the part's begin
		for _, p := range parts {
			end := first + p.count()
			for i := max(lo, first); i < min(hi, end); i++ {
				out := dst[(i-lo)*width : (i-lo+1)*width]
				from := p.row(buf, i-first, 0, width)
				switch {
				case from == nil:
					clear(out)
				case p.scale == 1 && p.shift == 0:
					copy(out, from)
				default:
					for k, v := range from {
						out[k] = v*p.scale + p.shift
					}
				}
			}
			first = end
		}
	}}
}

// transposed is a tensor [width, rows]: the picked rows side by side as columns.
func transposed(name string, parts ...rows) checkpoint.Stream {
	n := 0
	for _, p := range parts {
		n += p.count()
	}
	return checkpoint.Stream{Name: name, Shape: []int{parts[0].width, n}, Fill: func(dst []float32, lo, hi int) {
		column, buf := 0, make([]float32, hi-lo)
		for _, p := range parts {
			for i := range p.count() {
				if from := p.row(buf, i, lo, hi); from != nil {
					for k, v := range from {
						dst[k*n+column] = v*p.scale + p.shift
					}
				} else {
					for k := range hi - lo {
						dst[k*n+column] = 0
					}
				}
				column++
			}
		}
	}}
}
