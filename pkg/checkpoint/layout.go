package checkpoint

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

const (
	// chunkElements is about how many elements move at a time: 256 KiB.
	chunkElements = 64 << 10
	maxRank       = 8 // dimensions of a tensor in a file
)

// placed is a Tensor bound to a set: its shape in the file, and segments that
// come one after the other in the file.
type placed struct {
	Tensor
	shape    []int
	segments []segment
}

// segment is a run of file rows; every row is the pieces side by side.
type segment struct {
	rows, width int
	pieces      []piece
	least       int // rows that move at a time at least
}

// piece is one parameter's share of a segment. Its dimensions are those of the
// file, merged where both sides allow: the first lead of them number the rows,
// the others the elements of a row.
type piece struct {
	p    *param.Param
	at   int // first column
	base int // first element of the parameter
	dims []axis
	lead int
}

// axis is n steps, each so many elements further in the file's segment and in
// the parameter.
type axis struct{ n, file, param int }

// bindAll binds every tensor and checks that together they hold every parameter.
func bindAll(set *param.Set, tensors []Tensor) ([]placed, error) {
	names, held := map[string]bool{}, map[string]bool{}
	var bound []placed
	for _, t := range tensors {
		b, err := t.bind(set)
		if err != nil {
			return nil, err
		}
		for _, n := range append([]string{t.Name}, t.Aliases...) {
			if names[n] {
				return nil, fmt.Errorf("checkpoint: tensor name %q is used twice", n)
			}
			names[n] = true
		}
		for _, part := range t.Parts {
			held[part.Param] = true
		}
		bound = append(bound, b)
	}
	var lost []string
	for _, p := range set.Params {
		if !held[p.Name] {
			lost = append(lost, p.Name)
		}
	}
	if len(lost) > 0 {
		sort.Strings(lost)
		return nil, fmt.Errorf("checkpoint: no tensor holds the parameters %s", strings.Join(lost, ", "))
	}
	return bound, nil
}

// bind finds where in the parameters every element of the tensor is.
func (t Tensor) bind(set *param.Set) (placed, error) {
	b := placed{Tensor: t}
	fail := func(format string, a ...any) (placed, error) {
		return b, fmt.Errorf("checkpoint: tensor %s: "+format, append([]any{t.Name}, a...)...)
	}
	if len(t.Parts) == 0 {
		return fail("it has no parts")
	}
	sizes := make([][]axis, len(t.Parts)) // permuted dimensions
	total := 0
	for i, part := range t.Parts {
		p := set.Param(part.Param)
		if p == nil {
			return fail("no parameter %q", part.Param)
		}
		dims, err := permute(p, part.Perm)
		if err != nil {
			return fail("%w", err)
		}
		shape, err := t.regroup(dims)
		if err != nil {
			return fail("%s: %w", p, err)
		}
		switch {
		case i == 0:
			b.shape = shape
		case t.Shape != nil:
		case len(shape) != len(b.shape) || t.Axis >= len(shape) || !equalBut(t.Axis, shape, b.shape):
			return fail("%s has shape %v, which does not join %v along axis %d", p, shape, b.shape, t.Axis)
		default:
			b.shape[t.Axis] += shape[t.Axis]
		}
		sizes[i] = dims
		total += p.Size()
	}
	if product(b.shape) != total || t.Axis < 0 || t.Axis >= len(b.shape) || len(b.shape) > maxRank {
		return fail("shape %v, axis %d: its parts have %d elements", b.shape, t.Axis, total)
	}
	if t.Heads > 0 {
		s, err := byHeads(set, t.Parts, t.Heads)
		if err != nil {
			return fail("%w", err)
		}
		b.segments = []segment{s}
		return b, nil
	}
	var err error
	if outer := product(b.shape[:t.Axis]); outer == 1 || len(t.Parts) == 1 {
		b.segments, err = t.oneByOne(set, sizes)
	} else {
		b.segments, err = t.beside(set, sizes, outer, total)
	}
	if err != nil {
		return fail("%w", err)
	}
	return b, nil
}

// oneByOne are the segments of parts of which each lies in one piece in the file.
func (t Tensor) oneByOne(set *param.Set, sizes [][]axis) (out []segment, err error) {
	for i, part := range t.Parts {
		p := set.Param(part.Param)
		if part.Split == 0 {
			out = append(out, single(p, sizes[i]))
			continue
		}
		s, err := byHeads(set, t.Parts[i:i+1], product(shapeOf(p)[:part.At]))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// beside is the segment of parts that lie beside each other in each of the file's rows.
func (t Tensor) beside(set *param.Set, sizes [][]axis, outer, total int) ([]segment, error) {
	s := segment{rows: outer, width: total / outer, least: tile}
	for i, part := range t.Parts {
		p := set.Param(part.Param)
		lead, ok := prefix(sizes[i], outer)
		if !ok {
			return nil, fmt.Errorf("%s cannot be cut into %d rows", p, outer)
		}
		columns := p.Size() / outer
		pc := piece{p: p, at: s.pieceEnd(), dims: merge(inFile(sizes[i][:lead], s.width))}
		pc.lead = len(pc.dims)
		pc.dims = append(pc.dims, merge(inFile(sizes[i][lead:], 1))...)
		s.pieces = append(s.pieces, pc)
		if i == len(t.Parts)-1 && pc.at+columns != s.width {
			return nil, fmt.Errorf("its parts have %d columns, expected %d", pc.at+columns, s.width)
		}
	}
	return []segment{s}, nil
}

// pieceEnd is the first column that no piece has yet.
func (s *segment) pieceEnd() int {
	if len(s.pieces) == 0 {
		return 0
	}
	last := s.pieces[len(s.pieces)-1]
	return last.at + last.p.Size()/s.rows
}

// single is a segment of one parameter, cut into rows that are not too long.
func single(p *param.Param, dims []axis) segment {
	dims = merge(inFile(dims, 1))
	if len(dims) == 0 { // one element
		dims = []axis{{1, 1, 1}}
	}
	// A transposition moves in tiles: the dimension that is adjacent in the
	// parameter, unless it is the last, stays within a chunk.
	last := len(dims)
	s := segment{}
	for i, d := range dims[:len(dims)-1] {
		if d.param == 1 {
			last, s.least = i+1, tile
		}
	}
	lead := 1
	for lead < last && dims[lead-1].file > chunkElements {
		lead++
	}
	if lead < last {
		s.least = 0
	}
	s.rows, s.width = 1, dims[lead-1].file
	for _, d := range dims[:lead] {
		s.rows *= d.n
	}
	s.pieces = []piece{{p: p, dims: dims, lead: lead}}
	return s
}

// permute is the parameter's dimensions in the order perm, with their strides.
func permute(p *param.Param, perm []int) ([]axis, error) {
	n := len(p.Dims)
	if perm == nil {
		for i := range n {
			perm = append(perm, i)
		}
	}
	seen := make([]bool, n)
	for _, d := range perm {
		if d < 0 || d >= n || seen[d] || len(perm) != n {
			return nil, fmt.Errorf("%s: %v does not permute %d dimensions", p, perm, n)
		}
		seen[d] = true
	}
	strides := make([]int, n)
	for i, s := n-1, 1; i >= 0; i-- {
		strides[i] = s
		s *= p.Dims[i].Size
	}
	dims := make([]axis, n)
	for i, d := range perm {
		dims[i] = axis{n: p.Dims[d].Size, param: strides[d]}
	}
	return dims, nil
}

// regroup is the part's shape in the file; with an explicit Shape, that.
func (t Tensor) regroup(dims []axis) ([]int, error) {
	if t.Shape != nil {
		return append([]int(nil), t.Shape...), nil
	}
	sizes := make([]int, len(dims))
	for i, d := range dims {
		sizes[i] = d.n
	}
	size, last := product(sizes), sizes[len(sizes)-1]
	switch {
	case t.Rank == 0:
		return sizes, nil
	case t.Rank == 1:
		return []int{size}, nil
	case t.Rank == 2 && t.Axis == 1:
		return []int{sizes[0], size / sizes[0]}, nil
	case t.Rank == 2:
		return []int{size / last, last}, nil
	}
	return nil, fmt.Errorf("rank %d is not supported", t.Rank)
}

// inFile gives the dimensions their strides in the file, the last one unit.
func inFile(dims []axis, unit int) []axis {
	out := append([]axis(nil), dims...)
	for i := len(out) - 1; i >= 0; i-- {
		out[i].file = unit
		unit *= out[i].n
	}
	return out
}

// merge joins neighbours that are one run on both sides and drops dimensions of one.
func merge(dims []axis) []axis {
	var out []axis
	for _, d := range dims {
		if d.n == 1 {
			continue
		}
		if k := len(out) - 1; k >= 0 && out[k].file == d.n*d.file && out[k].param == d.n*d.param {
			out[k] = axis{out[k].n * d.n, d.file, d.param}
			continue
		}
		out = append(out, d)
	}
	return out
}

// prefix is how many leading dimensions have size elements together.
func prefix(dims []axis, size int) (int, bool) {
	n := 1
	for i, d := range dims {
		if n == size {
			return i, true
		}
		n *= d.n
	}
	return len(dims), n == size
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// equalBut reports whether the shapes differ at most along axis.
func equalBut(axis int, a, b []int) bool {
	for i := range a {
		if i != axis && a[i] != b[i] {
			return false
		}
	}
	return true
}

// chunk is how many rows of the segment to move at a time.
func (s *segment) chunk() int {
	return min(s.rows, max(1, s.least, chunkElements/max(1, s.width)))
}

// plain is the parameter's elements of rows lo to hi when they are in the
// file's order already, or nil.
func (s *segment) plain(lo, hi int) []float32 {
	if !s.inOrder() {
		return nil
	}
	return s.pieces[0].p.Data()[lo*s.width : hi*s.width]
}

// inOrder reports whether the segment is one parameter in the file's order.
func (s *segment) inOrder() bool {
	return len(s.pieces) == 1 && len(s.pieces[0].dims) == 1 && s.pieces[0].dims[0].param == 1
}

// gather copies rows lo to hi from the parameters to buf, in the file's order.
func (s *segment) gather(buf []float32, lo, hi int) { s.move(buf, lo, hi, true) }

// scatter is the inverse of gather.
func (s *segment) scatter(buf []float32, lo, hi int) { s.move(buf, lo, hi, false) }

func (s *segment) move(buf []float32, lo, hi int, toFile bool) {
	var loops [maxRank * 2]loop
	for _, pc := range s.pieces {
		w := pc.p.Data()
		// Rows run along the last leading dimension, as far as it goes.
		run := pc.dims[pc.lead-1]
		for r := lo; r < hi; {
			n := min(hi-r, run.n-r%run.n)
			from, rest := pc.base, r
			for i := pc.lead - 1; i >= 0; i-- {
				d := pc.dims[i]
				from += rest % d.n * d.param
				rest /= d.n
			}
			box := append(loops[:0], direct(axis{n, s.width, run.param}, toFile))
			for _, d := range pc.dims[pc.lead:] {
				box = append(box, direct(d, toFile))
			}
			at := (r-lo)*s.width + pc.at
			if toFile {
				copyBox(buf[at:], w[from:], box)
			} else {
				copyBox(w[from:], buf[at:], box)
			}
			r += n
		}
	}
}

// direct is the axis as a loop towards the file, or from it.
func direct(a axis, toFile bool) loop {
	if toFile {
		return loop{a.n, a.file, a.param}
	}
	return loop{a.n, a.param, a.file}
}
