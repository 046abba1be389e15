package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// fill makes a set of the given shapes whose every element is another number.
func fill(t testing.TB, shapes map[string][]int, order ...string) *param.Set {
	t.Helper()
	var specs []param.Spec
	for _, name := range order {
		sp := param.Spec{Name: name}
		for _, n := range shapes[name] {
			sp.Dims = append(sp.Dims, param.Dim{Size: n})
		}
		specs = append(specs, sp)
	}
	set, err := param.New(specs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Weights.Close)
	for i := range set.Weights.Data {
		set.Weights.Data[i] = float32(i + 1)
	}
	return set
}

// naive lays out a tensor element by element, by multi-index: the part's
// elements in permuted order, joined along the axis of the file's shape.
func naive(set *param.Set, t Tensor, shape []int) []float32 {
	outer := product(shape[:t.Axis])
	var out []float32
	parts := make([][]float32, len(t.Parts))
	for i, part := range t.Parts {
		p := set.Param(part.Param)
		perm := part.Perm
		if perm == nil {
			for d := range p.Dims {
				perm = append(perm, d)
			}
		}
		index := make([]int, len(perm)) // of the permuted dimensions
		for range p.Size() {
			at := 0
			for d := range p.Dims {
				for k, q := range perm {
					if q == d {
						at = at*p.Dims[d].Size + index[k]
					}
				}
			}
			parts[i] = append(parts[i], p.Data()[at])
			for k := len(perm) - 1; k >= 0; k-- {
				if index[k]++; index[k] < p.Dims[perm[k]].Size {
					break
				}
				index[k] = 0
			}
		}
	}
	for o := range outer {
		for _, p := range parts {
			n := len(p) / outer
			out = append(out, p[o*n:(o+1)*n]...)
		}
	}
	return out
}

// file lays out a bound tensor by the segments, in chunks of step rows.
func file(b placed, step func(s *segment) int) []float32 {
	var out []float32
	for i := range b.segments {
		s := &b.segments[i]
		n := step(s)
		for lo := 0; lo < s.rows; lo += n {
			hi := min(s.rows, lo+n)
			buf := make([]float32, (hi-lo)*s.width)
			s.gather(buf, lo, hi)
			if p := s.plain(lo, hi); p != nil {
				for i := range p {
					if p[i] != buf[i] {
						panic("plain differs from gather")
					}
				}
			}
			out = append(out, buf...)
		}
	}
	return out
}

// TestLayout holds the strided copy against the naive one: the layouts of the
// families, then random ones, in chunks of every size, in both directions.
func TestLayout(t *testing.T) {
	type row struct {
		name   string
		shapes map[string][]int
		t      Tensor
		want   []int
	}
	parts := func(ps ...Part) []Part { return ps }
	rows := []row{
		{"llama q_proj", map[string][]int{"a": {2, 3, 4, 2, 5}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{0, 1, 3, 2, 4}}), Rank: 2}, []int{48, 5}},
		{"llama o_proj", map[string][]int{"a": {2, 3, 4, 35}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{3, 0, 1, 2}}), Rank: 2, Axis: 1}, []int{35, 24}},
		{"llama bias", map[string][]int{"a": {2, 3, 4, 2}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{0, 1, 3, 2}}), Rank: 1}, []int{48}},
		{"c_attn", map[string][]int{"a": {3, 1, 4, 20}, "b": {3, 4, 20}, "c": {3, 5, 20}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{3, 0, 1, 2}}, Part{Param: "b", Perm: []int{2, 0, 1}}, Part{Param: "c", Perm: []int{2, 0, 1}}), Rank: 2, Axis: 1}, []int{20, 39}},
		{"c_attn bias", map[string][]int{"a": {3, 4}, "b": {3, 4}, "c": {3, 5}}, Tensor{Parts: parts(Part{Param: "a", Perm: nil}, Part{Param: "b", Perm: nil}, Part{Param: "c", Perm: nil}), Rank: 1}, []int{39}},
		{"stacked rows", map[string][]int{"a": {3, 4}, "b": {2, 4}}, Tensor{Parts: parts(Part{Param: "a", Perm: nil}, Part{Param: "b", Perm: nil})}, []int{5, 4}},
		{"ones in the shape", map[string][]int{"a": {17, 4}}, Tensor{Parts: parts(Part{Param: "a", Perm: nil}), Shape: []int{1, 17, 4}}, []int{1, 17, 4}},
		{"split dimension", map[string][]int{"a": {6, 12}}, Tensor{Parts: parts(Part{Param: "a", Perm: nil}), Shape: []int{6, 3, 2, 2}}, []int{6, 3, 2, 2}},
		{"one element", map[string][]int{"a": {1, 1}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{1, 0}})}, []int{1, 1}},
		{"long row", map[string][]int{"a": {3, chunkElements + 5}}, Tensor{Parts: parts(Part{Param: "a", Perm: nil})}, []int{3, chunkElements + 5}},
		{"long transposition", map[string][]int{"a": {chunkElements + 5, 3}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{1, 0}})}, []int{3, chunkElements + 5}},
		{"many long rows", map[string][]int{"a": {3, 2, 40, 1000}}, Tensor{Parts: parts(Part{Param: "a", Perm: []int{2, 0, 1, 3}})}, []int{40, 3, 2, 1000}},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		r := row{name: fmt.Sprint("random ", i), shapes: map[string][]int{}}
		rank := 1 + rng.IntN(5)
		perm := rng.Perm(rank)
		shape := make([]int, rank) // permuted
		for d := range shape {
			shape[d] = 1 + rng.IntN(1+[]int{3, 9, 40}[rng.IntN(3)]/rank)
		}
		axis := rng.IntN(rank)
		r.t.Axis = axis
		r.want = append([]int(nil), shape...)
		r.want[axis] = 0
		for _, name := range []string{"a", "b", "c"}[:1+rng.IntN(3)] {
			shape[axis] = 1 + rng.IntN(20)
			r.want[axis] += shape[axis]
			own := make([]int, rank)
			for d, p := range perm {
				own[p] = shape[d]
			}
			r.shapes[name] = own
			r.t.Parts = append(r.t.Parts, Part{Param: name, Perm: perm})
		}
		if rng.IntN(3) == 0 { // the same elements under another shape
			r.t.Shape, r.t.Axis = append([]int{1}, r.want...), axis+1
			r.want = r.t.Shape
		}
		rows = append(rows, r)
	}
	for _, r := range rows {
		var order []string
		for _, p := range r.t.Parts {
			order = append(order, p.Param)
		}
		set := fill(t, r.shapes, order...)
		b, err := r.t.bind(set)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		if fmt.Sprint(b.shape) != fmt.Sprint(r.want) {
			t.Errorf("%s: shape %v, expected %v", r.name, b.shape, r.want)
		}
		want := naive(set, r.t, b.shape)
		for name, step := range map[string]func(*segment) int{
			"own chunks": (*segment).chunk,
			"one row":    func(*segment) int { return 1 },
			"seven rows": func(*segment) int { return 7 },
			"at once":    func(s *segment) int { return s.rows },
		} {
			if name == "one row" && product(b.shape) > 10000 {
				continue
			}
			got := file(b, step)
			if at := differ(got, want); at >= 0 {
				t.Fatalf("%s, %s: element %d is %g, expected %g", r.name, name, at, got[at], want[at])
			}
		}
		// And back: into a set of zeros.
		before := append([]float32(nil), set.Weights.Data...)
		clear(set.Weights.Data)
		at := 0
		for i := range b.segments {
			s := &b.segments[i]
			for lo := 0; lo < s.rows; lo += s.chunk() {
				hi := min(s.rows, lo+s.chunk())
				s.scatter(want[at:], lo, hi)
				at += (hi - lo) * s.width
			}
		}
		for _, p := range set.Params {
			if at := differ(p.Data(), before[p.Offset:p.Offset+p.Size()]); at >= 0 {
				t.Fatalf("%s: element %d of %s does not come back", r.name, at, p)
			}
		}
	}
}

func differ(a, b []float32) int {
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// TestChunks holds what a chunk may be: whole tiles of a transposition, and no
// second copy of a large tensor.
func TestChunks(t *testing.T) {
	for _, r := range []struct {
		name  string
		shape []int
		perm  []int
		limit int // elements
	}{
		{"embedding", []int{50257, 768}, nil, chunkElements},
		{"down", []int{5632, 2048}, []int{1, 0}, max(chunkElements, tile*5632)},
		{"q", []int{4, 8, 32, 2, 2048}, []int{0, 1, 3, 2, 4}, chunkElements},
		{"vector", []int{1 << 20}, nil, chunkElements},
	} {
		sp := param.Spec{Name: "a"}
		for _, n := range r.shape {
			sp.Dims = append(sp.Dims, param.Dim{Size: n})
		}
		set, err := param.Layout([]param.Spec{sp})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Tensor{Name: "a", Parts: []Part{{Param: "a", Perm: r.perm}}}.bind(set)
		if err != nil {
			t.Fatal(err)
		}
		s := b.segments[0]
		if n := s.chunk() * s.width; n > r.limit {
			t.Errorf("%s: a chunk has %d elements, expected at most %d", r.name, n, r.limit)
		}
		if s.rows*s.width != set.Count() {
			t.Errorf("%s: %d rows of %d are not %d elements", r.name, s.rows, s.width, set.Count())
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	set := fill(t, map[string][]int{"a": {2, 6}, "b": {3, 4}, "c": {2, 2, 3}}, "a", "b", "c")
	for _, r := range []struct {
		t    Tensor
		want string
	}{
		{Tensor{Name: "x"}, "tensor x: it has no parts"},
		{Tensor{Name: "x", Parts: []Part{{Param: "z"}}}, `tensor x: no parameter "z"`},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: []int{0, 0}}}}, "[0 0] does not permute 2 dimensions"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: []int{0}}}}, "[0] does not permute"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: []int{0, 2}}}}, "[0 2] does not permute"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a"}, {Param: "b"}}}, "b[3, 4] has shape [3 4], which does not join [2 6] along axis 0"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a"}, {Param: "c"}}}, "does not join"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: nil}}, Shape: []int{3, 3}}, "shape [3 3], axis 0: its parts have 12 elements"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: nil}}, Axis: 2}, "axis 2"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a", Perm: nil}}, Rank: 3}, "rank 3 is not supported"},
		{Tensor{Name: "x", Parts: []Part{{Param: "a"}, {Param: "b"}}, Shape: []int{4, 6}, Axis: 1}, "a[2, 6] cannot be cut into 4 rows"},
	} {
		_, err := r.t.bind(set)
		if err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%+v: %v, expected %q", r.t, err, r.want)
		}
	}
	whole := func(n, p string) Tensor { return Tensor{Name: n, Parts: []Part{{Param: p}}} }
	if _, err := bindAll(set, []Tensor{whole("x", "a"), whole("y", "c")}); err == nil || !strings.Contains(err.Error(), "no tensor holds the parameters b") {
		t.Errorf("a lost parameter: %v", err)
	}
	if _, err := bindAll(set, []Tensor{whole("x", "a"), whole("x", "b"), whole("y", "c")}); err == nil || !strings.Contains(err.Error(), `"x" is used twice`) {
		t.Errorf("a name used twice: %v", err)
	}
	if _, err := bindAll(set, []Tensor{whole("x", "a"), whole("y", "b"), whole("z", "c")}); err != nil {
		t.Error(err)
	}
}

// BenchmarkGather moves the matrices of one llama-1b layer into the file's order.
func BenchmarkGather(b *testing.B) {
	for _, r := range []struct {
		name  string
		shape []int
		perm  []int
	}{
		{"q", []int{32, 1, 32, 2, 2048}, []int{0, 1, 3, 2, 4}},
		{"o", []int{32, 1, 64, 2048}, []int{3, 0, 1, 2}},
		{"down", []int{5461, 2048}, []int{1, 0}},
		{"gate", []int{5461, 2048}, nil},
	} {
		set := fill(b, map[string][]int{"a": r.shape}, "a")
		bound, err := Tensor{Name: "a", Parts: []Part{{Param: "a", Perm: r.perm}}}.bind(set)
		if err != nil {
			b.Fatal(err)
		}
		s := &bound.segments[0]
		step := s.chunk()
		buf := make([]float32, step*s.width)
		b.Run(r.name, func(b *testing.B) {
			b.SetBytes(int64(4 * set.Count()))
			for range b.N {
				for lo := 0; lo < s.rows; lo += step {
					s.gather(buf, lo, min(s.rows, lo+step))
				}
			}
		})
	}
}
