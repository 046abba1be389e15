package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// rowsCase is an operation on values that may be stored as bfloat16.
type rowsCase struct {
	name string
	x    []int // values of each operand that may be
	y, z int   // values of a result that may be, and of one that is float32; 0 for none
	run  func(p *Pool, y Rows, x []Rows, z []float32)
}

// fencedBF16 is values as bfloat16 that end at an unreadable page, after NaNs.
func fencedBF16(t testing.TB, values []float32) (Rows, func() bool) {
	words, intact := fence(t, (len(values)+1)/2)
	bits := asBF16(words)[2*len(words)-len(values):]
	ToBF16(bits, values)
	return Rows{BF16: bits}, intact
}

// values is what r holds, as float32.
func (r Rows) values() []float32 {
	if r.BF16 == nil {
		return r.F32
	}
	v := make([]float32, len(r.BF16))
	FromBF16(v, r.BF16)
	return v
}

// check runs the operation on operands of either type with results of either type: all
// give the same bits, and a result that is not rounded becomes them when it is.
func (c rowsCase) check(t *testing.T, threads int) {
	p := NewPool(threads)
	defer p.Close()
	r := rand.New(rand.NewPCG(3, uint64(len(c.name))))
	var wide, narrow []Rows
	var intact []func() bool
	fenced := func(n int) Rows {
		v, ok := fence(t, n)
		intact = append(intact, ok)
		for i := range v {
			v[i] = float32(2 * r.NormFloat64())
		}
		roundPortable(v)
		return Rows{F32: v}
	}
	for _, n := range c.x {
		v := fenced(n)
		b, ok := fencedBF16(t, v.F32)
		wide, narrow, intact = append(wide, v), append(narrow, b), append(intact, ok)
	}
	spoil(p)
	want, wantZ := fenced(c.y), fenced(c.z).F32
	c.run(p, want, wide, wantZ)
	roundPortable(want.F32)
	for i, x := range [][]Rows{wide, narrow, narrow} {
		y, z := fenced(c.y), fenced(c.z).F32
		y.Rounded = true
		if i == 2 {
			var ok func() bool
			y, ok = fencedBF16(t, y.F32)
			intact = append(intact, ok)
		}
		held := slices.Clone(narrow[:0])
		for _, n := range narrow {
			held = append(held, Rows{BF16: slices.Clone(n.BF16)})
		}
		c.run(p, y, x, z)
		same(t, fmt.Sprintf("%s, form %d", c.name, i), y.values(), want.F32)
		same(t, fmt.Sprintf("%s, form %d", c.name, i), z, wantZ)
		for j := range held {
			if !slices.Equal(held[j].BF16, narrow[j].BF16) {
				t.Fatalf("%s: operand %d changed", c.name, j)
			}
		}
	}
	for _, ok := range intact {
		if !ok() {
			t.Fatalf("%s wrote before a buffer", c.name)
		}
	}
}

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], w)
		}
	}
}

// rowsCases are the operations that read or write bfloat16, but for products.
func rowsCases(n, f int) []rowsCase {
	x, dy := noise(n*f), noise(n*f)
	stats := make([]float32, 2*n)
	cases := []rowsCase{
		{"rmsnorm", nil, n * f, 0, func(p *Pool, y Rows, _ []Rows, _ []float32) {
			RMSNormForward(p, y, stats, x, dy[:f], n, f, RMSNorm{Eps: 1e-5, PlusOne: true})
		}},
		{"layernorm", nil, n * f, 0, func(p *Pool, y Rows, _ []Rows, _ []float32) {
			LayerNormForward(p, y, stats, stats[n:], x, dy[:f], x[:f], n, f, 1e-5)
		}},
		{"round", nil, n * f, 0, func(p *Pool, y Rows, _ []Rows, _ []float32) { RoundBF16(p, y, x) }},
		{"swiglu", []int{2 * n * f}, n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { SwiGLUForward(p, y, x[0], n, f) }},
		{"swiglu back", []int{2 * n * f}, 2 * n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { SwiGLUBackward(p, y, dy, x[0], n, f) }},
		{"gatedot", []int{n * f}, 0, f, func(p *Pool, _ Rows, x []Rows, z []float32) { GateDot(p, z, x[0], dy, 1, n, f, 0, f, 1) }},
	}
	for _, tanh := range []bool{false, true} {
		cases = append(cases,
			rowsCase{"geglu", []int{2 * n * f}, n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { GeGLUForward(p, y, x[0], n, f, tanh) }},
			rowsCase{"geglu back", []int{2 * n * f}, 2 * n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { GeGLUBackward(p, y, dy, x[0], n, f, tanh) }},
			rowsCase{"gelu", []int{n * f}, n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { GELUForward(p, y, x[0], n*f, tanh) }},
			rowsCase{"gelu back", []int{n * f}, n * f, 0, func(p *Pool, y Rows, x []Rows, _ []float32) { GELUBackward(p, y, dy, x[0], tanh) }},
		)
	}
	return cases
}

// attentionCases are attention and what reads queries and keys, with gradients.
func attentionCases(s AttnShape, starts []int32) []rowsCase {
	qkv, ctx := s.B*s.T*s.Width(), s.B*s.T*s.G*s.R*s.VO
	lse, dctx := make([]float32, s.B*s.G*s.R*s.T), noise(ctx)
	for i := range lse {
		lse[i] = 4
	}
	o := QKNorm{Eps: 1e-5}
	dqkv, gain, stats := noise(qkv), noise(s.QK), make([]float32, s.B*s.T*o.Stats(&s))
	return []rowsCase{
		{fmt.Sprintf("attention %+v", s), []int{qkv}, ctx, len(lse), func(p *Pool, y Rows, x []Rows, z []float32) {
			AttentionForward(p, y, z, x[0], starts, s)
		}},
		{fmt.Sprintf("attention back %+v", s), []int{qkv, ctx}, 0, qkv, func(p *Pool, _ Rows, x []Rows, z []float32) {
			AttentionBackward(p, z, dctx, x[1], lse, x[0], starts, s)
		}},
		{"qknorm", []int{qkv}, 0, qkv, func(p *Pool, _ Rows, x []Rows, z []float32) {
			QKNormForward(p, z, stats, x[0], gain, gain, s, o)
		}},
		{"qknorm back", []int{qkv}, 0, qkv, func(p *Pool, _ Rows, x []Rows, z []float32) {
			QKNormBackward(p, z, dqkv, x[0], gain, gain, stats, s, o)
		}},
		{"qknorm grad", []int{qkv}, 0, 2 * s.QK, func(p *Pool, _ Rows, x []Rows, z []float32) {
			clear(z)
			QKNormGrad(p, z[:s.QK], z[s.QK:], dqkv, x[0], stats, s, o)
		}},
		{"gatedotheads", []int{qkv}, 0, s.B * s.QK, func(p *Pool, _ Rows, x []Rows, z []float32) {
			GateDotHeads(p, z, x[0], dqkv, s, 1, true)
		}},
	}
}

// TestRowsOfBF16: every operation that reads or writes values as bfloat16, on every path,
// gives the bits of the same operation on the same values as float32, rounded.
func TestRowsOfBF16(t *testing.T) {
	var cases []rowsCase
	for _, s := range [][2]int{{1, 1}, {3, 5}, {7, 61}, {40, 100}, {2, 2500}} {
		cases = append(cases, rowsCases(s[0], s[1])...)
	}
	for _, s := range []AttnShape{
		{B: 2, T: 3, G: 2, R: 1, QK: 4, VO: 5, Scale: 0.5},
		{B: 1, T: 150, G: 1, R: 2, QK: 34, VO: 33, Scale: 0.2, Causal: true},
		{B: 2, T: 71, G: 2, R: 3, QK: 8, VO: 13, Scale: 0.3, Causal: true, Window: 20, SoftCap: 2},
		{B: 1, T: 9, G: 1, R: 70, QK: 5, VO: 3, Scale: 0.4},
		{B: 3, T: 33, G: 4, R: 1, QK: 12, VO: 20, Scale: 0.3},
	} {
		cases = append(cases, attentionCases(s, nil)...)
	}
	cases = append(cases, attentionCases(AttnShape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7, Causal: true}, []int32{0, 0, 2, 1, 1, 1})...) // begins with padding
	eachPath(t, func(t *testing.T) {
		for _, c := range cases {
			c.check(t, 1)
			c.check(t, 3)
		}
	})
}

// TestGradientInPlace: the gradient of an activation's operand may take its memory.
func TestGradientInPlace(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	eachPath(t, func(t *testing.T) {
		for _, c := range append(rowsCases(7, 61), rowsCases(2, 2500)...) {
			if len(c.x) == 0 || c.x[0] != c.y { // no gradient
				continue
			}
			x := noise(c.y)
			roundPortable(x)
			want := Rows{F32: make([]float32, c.y), Rounded: true}
			c.run(p, want, []Rows{{F32: x}}, nil)
			narrow, _ := fencedBF16(t, x)
			c.run(p, narrow, []Rows{narrow}, nil)
			same(t, c.name+" of bfloat16", narrow.values(), want.F32)
			c.run(p, Rows{F32: x, Rounded: true}, []Rows{{F32: x}}, nil)
			same(t, c.name, x, want.F32)
		}
	})
}

// TestProductsOfBF16: factors that are stored as bfloat16 give the bits of the same values
// as float32, in every form, on every path.
func TestProductsOfBF16(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	r := rand.New(rand.NewPCG(9, 1))
	eachMatMulPath(t, func(t *testing.T) {
		size := func() int { return [...]int{1, 2, 5, 13, r.IntN(60) + 1, r.IntN(300) + 1}[r.IntN(6)] }
		for i := range 60 {
			m, n, k := size(), size(), size()
			if i < 4 { // in pieces, of whole and of odd panels
				m, n, k = 300, 290, 70
			}
			productOfBF16(t, p, r, [3]int{m, n, k}, Product{TransA: i&1 > 0, TransB: i&2 > 0, BF16: true, Accumulate: r.IntN(2) == 0})
		}
	})
}

func productOfBF16(t *testing.T, p *Pool, r *rand.Rand, shape [3]int, o Product) {
	m, n, k := shape[0], shape[1], shape[2]
	what := fmt.Sprintf("m=%d n=%d k=%d %+v", m, n, k, o)
	matrix := func(rows, cols int, turned bool) (wide, narrow Matrix) {
		if turned {
			rows, cols = cols, rows
		}
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		roundPortable(v)
		b, _ := fencedBF16(t, v)
		return Mat(v, rows, cols), Matrix{BF16: b.BF16, Rows: rows, Cols: cols, Stride: cols}
	}
	a, a16 := matrix(m, k, o.TransA)
	b, b16 := matrix(k, n, o.TransB)
	start := noise(m * n)
	c := func(mul func(c Matrix)) []float32 {
		c := Mat(slices.Clone(start), m, n)
		mul(c)
		return c.Data
	}
	want := c(func(c Matrix) { MatMul(p, c, a, b, o) })
	for i, f := range [][2]Matrix{{a16, b}, {a, b16}, {a16, b16}} {
		same(t, fmt.Sprintf("%s, factors %d", what, i), c(func(c Matrix) { MatMul(p, c, f[0], f[1], o) }), want)
	}
	weights := []Weights{{F32: b.Data}, {BF16: b16.BF16}}
	if b.Cols%Q8Block == 0 {
		q := make([]byte, Weights{Q8: []byte{}}.Bytes(len(b.Data)))
		ToQ8(q, b.Data)
		weights = append(weights, Weights{Q8: q})
	}
	for i, w := range weights {
		for _, o.BF16 = range []bool{true, false} {
			want := c(func(c Matrix) { MatMulWeights(p, c, a, w, b.Rows, b.Cols, o) })
			same(t, fmt.Sprintf("%s, weights %d", what, i), c(func(c Matrix) { MatMulWeights(p, c, a16, w, b.Rows, b.Cols, o) }), want)
		}
	}
}

// A result is float32.
func TestResultIsFloat32(t *testing.T) {
	defer func() {
		if got := recover(); got != badMatrix {
			t.Errorf("panic %v, want %q", got, badMatrix)
		}
	}()
	p := NewPool(1)
	defer p.Close()
	MatMul(p, Matrix{BF16: make([]uint16, 4), Rows: 2, Cols: 2, Stride: 2}, Mat(make([]float32, 4), 2, 2), Mat(make([]float32, 4), 2, 2), Product{})
}
