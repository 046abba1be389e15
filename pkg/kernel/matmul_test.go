package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// mulSlow is the definition of MatMul, summed in float64; mag is the same sum
// of absolute values, which bounds the rounding error.
func mulSlow(c, a, b Matrix, o Product) (want, mag []float64) {
	k := a.Cols
	if o.TransA {
		k = a.Rows
	}
	rounded := func(x []float32) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			if o.BF16 && v == v { // NaNs lie between the rows, and are not read
				v = math.Float32frombits(uint32(roundBF16Slow(v)) << 16)
			}
			y[i] = float64(v)
		}
		return y
	}
	x, y := rounded(a.Data), rounded(b.Data)
	want, mag = make([]float64, c.Rows*c.Cols), make([]float64, c.Rows*c.Cols)
	row := func(i int) {
		for j := range c.Cols {
			var s, g float64
			for kk := range k {
				ai, bi := i*a.Stride+kk, kk*b.Stride+j
				if o.TransA {
					ai = kk*a.Stride + i
				}
				if o.TransB {
					bi = j*b.Stride + kk
				}
				v := x[ai] * y[bi]
				s += v
				g += math.Abs(v)
			}
			add := func(v float32) { s += float64(v); g += math.Abs(float64(v)) }
			if o.Accumulate {
				add(c.Data[i*c.Stride+j])
			}
			if o.Bias != nil {
				add(o.Bias[j])
			}
			if o.Residual != nil {
				add(o.Residual[i*c.Stride+j])
			}
			want[i*c.Cols+j], mag[i*c.Cols+j] = s, g
		}
	}
	var half sync.WaitGroup
	half.Go(func() {
		for i := 0; i < c.Rows; i += 2 {
			row(i)
		}
	})
	for i := 1; i < c.Rows; i += 2 {
		row(i)
	}
	half.Wait()
	return want, mag
}

// roundBF16Slow rounds to the nearest bfloat16, ties to even, by search.
func roundBF16Slow(v float32) uint16 {
	lo := uint16(math.Float32bits(v) >> 16) // towards zero
	hi := lo + 1
	at := func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }
	dl, dh := math.Abs(float64(v)-at(lo)), math.Abs(at(hi)-float64(v))
	if dl < dh || dl == dh && lo&1 == 0 {
		return lo
	}
	return hi
}

// guarded is a random matrix inside a larger buffer of NaNs: what a kernel
// reads beyond the view poisons its result, what it writes there is seen.
type guarded struct {
	Matrix
	buf  []float32
	held []float32
}

func newGuarded(r *rand.Rand, rows, cols int) guarded {
	stride := cols + r.IntN(2)*r.IntN(20)
	head, tail := 1+r.IntN(20), 1+r.IntN(20)
	m := Matrix{Rows: rows, Cols: cols, Stride: stride}
	n := m.extent()
	buf := make([]float32, head+n+tail)
	for i := range buf {
		buf[i] = float32(math.NaN())
	}
	m.Data = buf[head : head+n]
	for i := range rows {
		for j := range cols {
			m.Data[i*stride+j] = float32(r.NormFloat64())
		}
	}
	return guarded{m, buf, append([]float32(nil), buf...)}
}

// intact reports whether nothing but the view's own values has changed; with
// all, not even those.
func (g guarded) intact(all bool) bool {
	head := len(g.buf) - cap(g.Data)
	for i, v := range g.buf {
		at := i - head
		if !all && at >= 0 && at < len(g.Data) && at%max(1, g.Stride) < g.Cols {
			continue
		}
		if math.Float32bits(v) != math.Float32bits(g.held[i]) {
			return false
		}
	}
	return true
}

// eachPath runs f under every CPU path.
func eachPath(t *testing.T, f func(t *testing.T)) {
	was := CurrentPath()
	defer UsePath(was)
	for _, name := range Paths() {
		if err := UsePath(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

// eachMatMulPath is eachPath and also, where there are bfloat16 instructions, the
// path without them.
func eachMatMulPath(t *testing.T, f func(t *testing.T)) {
	eachPath(t, f)
	for _, q := range paths {
		if emulated := *q; q.bf16 {
			was := current
			emulated.bf16, current = false, &emulated
			t.Run(q.name+" emulating bfloat16", f)
			current = was
		}
	}
}

// checkProduct runs one product and compares it with mulSlow. A sum of K
// products in float32 is off by at most about (K+2)·2⁻²⁴ of the sum of absolute
// values (N. Higham, Accuracy and Stability of Numerical Algorithms, §3.1). The
// dot product instruction of bfloat16 takes denormals for 0, which is far less.
func checkProduct(t *testing.T, r *rand.Rand, m, n, k int, o Product, mul func(c, a, b Matrix, o Product)) {
	t.Helper()
	checkProductOf(t, r, m, n, k, o, func(b Matrix) {}, mul)
}

// checkProduct16 is checkProduct for a B that bfloat16 holds exactly.
func checkProduct16(t *testing.T, r *rand.Rand, m, n, k int, o Product, mul func(c, a, b Matrix, o Product)) {
	t.Helper()
	exact := func(b Matrix) {
		for i := range b.Rows {
			roundPortable(b.Data[min(i*b.Stride, len(b.Data)):][:b.Cols])
		}
	}
	checkProductOf(t, r, m, n, k, o, exact, mul)
}

func checkProductOf(t *testing.T, r *rand.Rand, m, n, k int, o Product, prepare func(b Matrix), mul func(c, a, b Matrix, o Product)) {
	t.Helper()
	ar, ac, br, bc := m, k, k, n
	if o.TransA {
		ar, ac = ac, ar
	}
	if o.TransB {
		br, bc = bc, br
	}
	a, b, c := newGuarded(r, ar, ac), newGuarded(r, br, bc), newGuarded(r, m, n)
	prepare(b.Matrix)
	copy(b.held, b.buf)
	what := fmt.Sprintf("m=%d n=%d k=%d transA=%v transB=%v accumulate=%v bias=%v residual=%v bf16=%v", m, n, k, o.TransA, o.TransB, o.Accumulate, o.Bias != nil, o.Residual != nil, o.BF16)
	if o.Bias != nil {
		o.Bias = newGuarded(r, 1, n).Data
	}
	if o.Residual != nil {
		o.Residual = make([]float32, c.extent())
		for i := range o.Residual {
			o.Residual[i] = r.Float32()
		}
	}
	want, mag := mulSlow(c.Matrix, a.Matrix, b.Matrix, o)
	mul(c.Matrix, a.Matrix, b.Matrix, o)
	if !a.intact(true) || !b.intact(true) {
		t.Fatalf("%s: an input changed", what)
	}
	if !c.intact(false) {
		t.Fatalf("%s: wrote beside C", what)
	}
	for i, w := range want {
		got := float64(c.Data[i/n*c.Stride+i%n])
		if tol := float64(k+4) * 0x1p-24 * mag[i]; !(math.Abs(got-w) <= tol) {
			t.Fatalf("%s: C[%d,%d] = %g, want %g within %g", what, i/n, i%n, got, w, tol)
		}
	}
}

func randomProduct(r *rand.Rand) Product {
	o := Product{TransA: r.IntN(2) == 0, TransB: r.IntN(2) == 0, Accumulate: r.IntN(2) == 0, BF16: r.IntN(3) == 0}
	if r.IntN(3) == 0 {
		o.Bias = []float32{}
	}
	if r.IntN(3) == 0 {
		o.Residual = []float32{}
	}
	return o
}

func TestMatMul(t *testing.T) {
	eachMatMulPath(t, func(t *testing.T) {
		p := NewPool(3)
		defer p.Close()
		r := rand.New(rand.NewPCG(1, 2))
		mul := func(c, a, b Matrix, o Product) { MatMul(p, c, a, b, o) }
		size := func() int { return [...]int{0, 1, 2, 3, 8, r.IntN(20), r.IntN(80), r.IntN(150)}[r.IntN(8)] }
		for range 400 {
			checkProduct(t, r, size(), size(), size(), randomProduct(r), mul)
		}
		for range 20 { // longer than one slice, and skinny in every direction
			checkProduct(t, r, 1+r.IntN(8), 1+r.IntN(90), 200+r.IntN(900), randomProduct(r), mul)
			checkProduct(t, r, 13+r.IntN(60), 1+r.IntN(60), 400+r.IntN(800), randomProduct(r), mul) // in panels
			checkProduct(t, r, 200+r.IntN(200), 1+r.IntN(8), 1+r.IntN(90), randomProduct(r), mul)
			checkProduct(t, r, 1+r.IntN(8), 200+r.IntN(900), 1+r.IntN(90), randomProduct(r), mul)
			checkProduct(t, r, 40+r.IntN(40), 40+r.IntN(40), 500+r.IntN(300), randomProduct(r), mul)
		}
		checkProduct(t, r, 2060, 5, 7, Product{}, mul) // more than one block of rows
		checkProduct(t, r, 5, 2060, 300, Product{Accumulate: true}, mul)
	})
}

// TestMatMul16 stores B as bfloat16; it is a MatMul of what that holds.
func TestMatMul16(t *testing.T) {
	eachMatMulPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		r := rand.New(rand.NewPCG(7, 8))
		mul := func(c, a, b Matrix, o Product) {
			bits := make([]uint16, len(b.Data)) // without a value to spare at the end
			ToBF16(bits, b.Data)
			MatMul16(p, c, a, Matrix16{bits, b.Rows, b.Cols, b.Stride}, o)
		}
		for range 150 {
			m, n, k := [...]int{1, 2, 3, 5, 8, r.IntN(40)}[r.IntN(6)], r.IntN(150), r.IntN(150)
			checkProduct16(t, r, m, n, k, randomProduct(r), mul)
		}
		for range 10 {
			checkProduct16(t, r, 1+r.IntN(8), 1+r.IntN(900), 1+r.IntN(90), randomProduct(r), mul)
			checkProduct16(t, r, 1+r.IntN(16), 1+r.IntN(90), 200+r.IntN(900), randomProduct(r), mul)
			checkProduct16(t, r, 13+r.IntN(60), 1+r.IntN(60), 400+r.IntN(800), randomProduct(r), mul) // in panels
			whole := randomProduct(r)
			whole.TransB = true
			checkProduct16(t, r, 13+r.IntN(60), 1+r.IntN(150), 16*(1+r.IntN(70)), whole, mul) // rows widened ahead
			pieces := randomProduct(r)
			pieces.TransB = false
			checkProduct16(t, r, 4+r.IntN(40), 65+r.IntN(150), 100+r.IntN(400), pieces, mul)
		}
	})
}

// The bits of a product must not depend on how many workers share it.
func TestMatMulThreads(t *testing.T) {
	eachMatMulPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for range 4 {
			m, n, k := 1+r.IntN(300), 1+r.IntN(300), 1+r.IntN(600)
			a, b := newGuarded(r, m, k), newGuarded(r, k, n)
			var want []float32
			for _, threads := range []int{1, 2, 5, 64} {
				p := NewPool(threads)
				c := Mat(make([]float32, m*n), m, n)
				MatMul(p, c, a.Matrix, b.Matrix, Product{})
				p.Close()
				if want == nil {
					want = c.Data
				}
				for i := range want {
					if c.Data[i] != want[i] {
						t.Fatalf("m=%d n=%d k=%d: %d threads give C[%d] = %g, one thread %g", m, n, k, threads, i, c.Data[i], want[i])
					}
				}
			}
		}
	})
}

func TestMatMulAllocates(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	a, b, c := Mat(make([]float32, 90*100), 90, 100), Mat(make([]float32, 100*80), 100, 80), Mat(make([]float32, 90*80), 90, 80)
	for _, o := range []Product{{}, {Accumulate: true, Bias: make([]float32, 80)}} {
		if n := allocations(50, func() { MatMul(p, c, a, b, o) }); n != 0 {
			t.Errorf("%v allocations a product, want 0", n)
		}
	}
}

func TestMatMulPanics(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	m := func(rows, cols int) Matrix { return Mat(make([]float32, rows*cols), rows, cols) }
	for want, f := range map[string]func(){
		badProduct: func() { MatMul(p, m(2, 3), m(2, 4), m(5, 3), Product{}) },
		badMatrix: func() {
			MatMul(p, m(2, 3), m(2, 4), Matrix{Data: make([]float32, 11), Rows: 4, Cols: 3, Stride: 3}, Product{})
		},
		badBias:     func() { MatMul(p, m(2, 3), m(2, 4), m(4, 3), Product{Bias: make([]float32, 2)}) },
		badResidual: func() { MatMul(p, m(2, 3), m(2, 4), m(4, 3), Product{Residual: make([]float32, 5)}) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panic %v, want %q", got, want)
				}
			}()
			f()
		}()
	}
}

func TestScratch(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for _, n := range []int{1, 100, 7, 5000} {
		if s := p.Scratch(1, n); len(s) != n || address(s)%64 != 0 {
			t.Errorf("Scratch(1, %d): %d values at %#x", n, len(s), address(s))
		}
	}
	if a, b := p.Scratch(0, 10), p.Scratch(1, 10); &a[0] == &b[0] {
		t.Error("two workers share scratch")
	}
}

func TestUsePath(t *testing.T) {
	if err := UsePath("abacus"); err == nil {
		t.Error("an unknown path was accepted")
	}
	if Paths()[0] != "portable" || CurrentPath() != Paths()[len(Paths())-1] {
		t.Errorf("paths %v, current %s", Paths(), CurrentPath())
	}
}
