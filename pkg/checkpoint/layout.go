package checkpoint

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// placed is a Tensor bound to a set: its shape in the file, and segments of
// rows that come one after the other in the file.
type placed struct {
	Tensor
	shape    []int
	segments []segment
}

// segment is a run of file rows; every row is the pieces side by side.
type segment struct {
	rows, width int
	pieces      []piece
}

// piece is one parameter's share of a segment: element j of row r is at
// r·stride + offset[j] of the parameter.
type piece struct {
	p      *param.Param
	at     int // first column
	stride int
	offset []int
	plain  bool // offset[j] is j: whole rows are adjacent
}

// bind finds where in the parameters every element of the tensor is.
func (t Tensor) bind(set *param.Set) (placed, error) {
	b := placed{Tensor: t}
	for i, part := range t.Parts {
		p := set.Param(part.Param)
		if p == nil {
			return b, fmt.Errorf("checkpoint: tensor %s: no parameter %q", t.Name, part.Param)
		}
		pc, rows, shape, err := place(p, part, t.Rank, t.Axis)
		if err != nil {
			return b, fmt.Errorf("checkpoint: tensor %s: %w", t.Name, err)
		}
		if i == 0 {
			b.shape = shape
		} else {
			b.shape[t.Axis] += shape[t.Axis]
		}
		if t.Axis == 0 || i == 0 {
			b.segments = append(b.segments, segment{rows: rows})
		}
		s := &b.segments[len(b.segments)-1]
		if s.rows != rows {
			return b, fmt.Errorf("checkpoint: tensor %s: %s has %d rows, expected %d", t.Name, p, rows, s.rows)
		}
		pc.at = s.width
		s.width += len(pc.offset)
		s.pieces = append(s.pieces, pc)
	}
	return b, nil
}

// place describes one part: its rows are the first permuted dimension.
func place(p *param.Param, part Part, rank, axis int) (pc piece, rows int, shape []int, err error) {
	n := len(p.Dims)
	perm := part.Perm
	if perm == nil {
		for i := range n {
			perm = append(perm, i)
		}
	}
	if len(perm) != n {
		return pc, 0, nil, fmt.Errorf("%s has %d dimensions, its permutation %d", p, n, len(perm))
	}
	strides := make([]int, n)
	for i, s := n-1, 1; i >= 0; i-- {
		strides[i] = s
		s *= p.Dims[i].Size
	}
	sizes := make([]int, n)
	for i, d := range perm {
		sizes[i] = p.Dims[d].Size
	}
	pc = piece{p: p, stride: strides[perm[0]], offset: []int{0}}
	for i, d := range perm[1:] {
		next := make([]int, 0, len(pc.offset)*sizes[i+1])
		for _, o := range pc.offset {
			for u := range sizes[i+1] {
				next = append(next, o+u*strides[d])
			}
		}
		pc.offset = next
	}
	pc.plain = pc.stride == len(pc.offset)
	for j, o := range pc.offset {
		pc.plain = pc.plain && o == j
	}
	switch {
	case rank == 0:
		shape = sizes
	case rank == 1:
		shape = []int{p.Size()}
	case rank == 2 && axis == 1:
		shape = []int{sizes[0], p.Size() / sizes[0]}
	case rank == 2:
		shape = []int{p.Size() / sizes[n-1], sizes[n-1]}
	default:
		return pc, 0, nil, fmt.Errorf("rank %d is not supported", rank)
	}
	return pc, sizes[0], shape, nil
}

// gather copies rows lo..hi of the segment from the parameters to buf, in the
// file's order.
func (s *segment) gather(buf []float32, lo, hi int) {
	s.each(lo, hi, func(w []float32, i, j int) { buf[i] = w[j] }, func(w []float32, i, j, n int) { copy(buf[i:i+n], w[j:]) })
}

// scatter is the inverse of gather.
func (s *segment) scatter(buf []float32, lo, hi int) {
	s.each(lo, hi, func(w []float32, i, j int) { w[j] = buf[i] }, func(w []float32, i, j, n int) { copy(w[j:j+n], buf[i:]) })
}

// each visits the elements of rows lo..hi: i is the place in the file's rows
// from lo on, j the place in the parameter's weights w.
func (s *segment) each(lo, hi int, one func(w []float32, i, j int), run func(w []float32, i, j, n int)) {
	for _, pc := range s.pieces {
		w := pc.p.Data()
		if pc.plain {
			for r := lo; r < hi; r++ {
				run(w, (r-lo)*s.width+pc.at, r*pc.stride, len(pc.offset))
			}
			continue
		}
		for j, o := range pc.offset {
			for r := lo; r < hi; r++ {
				one(w, (r-lo)*s.width+pc.at+j, r*pc.stride+o)
			}
		}
	}
}

// chunk is how many rows of the segment to move at a time: about 256 KiB.
func (s *segment) chunk() int { return max(1, min(s.rows, (64<<10)/max(1, s.width))) }
