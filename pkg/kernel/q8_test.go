package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every number of half precision goes to float32 and back, and every other float32
// goes to the nearest one.
func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		x := fromFloat16(uint16(h))
		if x != x {
			if h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
				t.Fatalf("%#04x became NaN", h)
			}
			continue
		}
		exp, frac := h>>10&31, float64(h&0x3ff)
		want := math.Ldexp(frac/1024, -14)
		switch {
		case exp == 31:
			want = math.Inf(1)
		case exp > 0:
			want = math.Ldexp(1+frac/1024, exp-15)
		}
		if h&0x8000 != 0 {
			want = -want
		}
		if float64(x) != want {
			t.Fatalf("%#04x is %g, want %g", h, x, want)
		}
		if got := toFloat16(x); got != uint16(h) {
			t.Fatalf("%g became %#04x, want %#04x", x, got, h)
		}
	}
	r := rand.New(rand.NewPCG(1, 16))
	for range 200000 {
		x := math.Float32frombits(r.Uint32())
		if !(math.Abs(float64(x)) < 65520) { // beyond, it rounds to infinity
			continue
		}
		got := float64(fromFloat16(toFloat16(x)))
		for _, step := range []int{-1, 1} { // no neighbour is nearer
			near := float64(fromFloat16(uint16(int(toFloat16(x)) + step)))
			if near == near && !math.IsInf(near, 0) && math.Abs(near-float64(x)) < math.Abs(got-float64(x)) {
				t.Fatalf("%g became %g, %g is nearer", x, got, near)
			}
		}
	}
}

func TestQ8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, blocks := range []int{0, 1, 2, 7} {
		x := make([]float32, blocks*Q8Block)
		for i := range x {
			x[i] = float32(r.NormFloat64()) * float32(math.Ldexp(1, -3*(i/Q8Block)))
		}
		if blocks > 1 {
			clear(x[Q8Block : 2*Q8Block])
		}
		q := make([]byte, blocks*Q8Bytes)
		ToQ8(q, x)
		eachPath(t, func(t *testing.T) {
			y, intact := fence(t, len(x))
			FromQ8(y, q)
			for b := range blocks {
				top := float32(0)
				for _, v := range x[b*Q8Block:][:Q8Block] {
					top = max(top, float32(math.Abs(float64(v))))
				}
				d := fromFloat16(binary.LittleEndian.Uint16(q[b*Q8Bytes:]))
				for i := range Q8Block {
					at := b*Q8Block + i
					if want := d * float32(int8(q[b*Q8Bytes+2+i])); y[at] != want {
						t.Fatalf("value %d is %g, want %g", at, y[at], want)
					}
					step := float64(top) / 127 // half of it, and what the scale's rounding makes of 127 of them
					if math.Abs(float64(y[at]-x[at])) > 0.5001*step+127*max(step*0x1p-11, 0x1p-25) {
						t.Fatalf("value %d is %g, was %g, largest of its block %g", at, y[at], x[at], top)
					}
				}
			}
			if !intact() {
				t.Fatal("wrote before dst")
			}
		})
	}
	bad := make([]float32, Q8Block)
	bad[3] = nan32
	q := make([]byte, Q8Bytes)
	ToQ8(q, bad)
	FromQ8(bad, q)
	if bad[0] == bad[0] {
		t.Errorf("a block with a NaN became %v", bad)
	}
}

// stored is a matrix in one of the types, and its values as float32.
func stored(r *rand.Rand, kind string, rows, cols int) (w Weights, values []float32) {
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	switch kind {
	case "q8":
		w.Q8 = make([]byte, len(x)/Q8Block*Q8Bytes)
		ToQ8(w.Q8, x)
		FromQ8(x, w.Q8)
	case "bf16":
		w.BF16 = make([]uint16, len(x))
		ToBF16(w.BF16, x)
		FromBF16(x, w.BF16)
	default:
		w.F32 = x
	}
	return w, x
}

// Products of weights as they are stored are those of the values that they stand for, for
// few rows and many, on one thread and several.
func TestMatMulWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 88))
	for _, kind := range []string{"f32", "bf16", "q8"} {
		for _, m := range []int{1, 2, 5, 7, 8, 11, 16, 40} {
			for _, size := range [][2]int{{3, 32}, {37, 96}, {70, 1120}, {300, 64}} { // rows and columns of the weights
				rows, cols := size[0], size[1]
				w, values := stored(r, kind, rows, cols)
				for _, trans := range []bool{true, false} {
					n, k := cols, rows
					if trans {
						n, k = rows, cols
					}
					a, bias, residual := noise(m*k), noise(n), noise(m*n)
					o := Product{TransB: trans, Bias: bias, Residual: residual}
					want := make([]float64, m*n)
					mag := make([]float64, m*n)
					for i := range m {
						for j := range n {
							s := float64(bias[j]) + float64(residual[i*n+j])
							g := math.Abs(s)
							for kk := range k {
								b := values[(kk*cols+j)%len(values)]
								if trans {
									b = values[j*cols+kk]
								}
								s += float64(a[i*k+kk]) * float64(b)
								g += math.Abs(float64(a[i*k+kk]) * float64(b))
							}
							want[i*n+j], mag[i*n+j] = s, g
						}
					}
					eachPath(t, func(t *testing.T) {
						var bits []float32
						for _, threads := range []int{1, 3} {
							p := NewPool(threads)
							c, intact := fence(t, m*n)
							spoil(p)
							run := func() { MatMulWeights(p, Mat(c, m, n), Mat(a, m, k), w, rows, cols, o) }
							run()
							for i, v := range c {
								if tol := float64(k+8) * 0x1p-24 * mag[i]; !(math.Abs(float64(v)-want[i]) <= tol) {
									t.Fatalf("%s, %d rows by %d x %d, transposed %t: C[%d] = %g, want %g within %g", kind, m, rows, cols, trans, i, v, want[i], tol)
								}
							}
							if bits == nil {
								bits = slices.Clone(c)
							}
							if !slices.Equal(bits, c) {
								t.Fatalf("%s: %d threads give other bits than one", kind, threads)
							}
							if a := allocations(2, run); a > 0 && threads == 1 && !raceDetector { // of several, one may take its first part only now
								t.Fatalf("%v allocations, want 0", a)
							}
							if !intact() {
								t.Fatal("wrote before C")
							}
							p.Close()
						}
					})
				}
			}
		}
	}
}

func BenchmarkWeights(b *testing.B) {
	const rows, cols = 4096, 2048
	r := rand.New(rand.NewPCG(1, 1))
	p := NewPool(0)
	defer p.Close()
	for _, kind := range []string{"f32", "bf16", "q8"} {
		w, _ := stored(r, kind, rows, cols)
		for _, m := range []int{1, 2, 4, 8, 16, 64} {
			for _, trans := range []bool{true, false} {
				n, k := cols, rows
				if trans {
					n, k = rows, cols
				}
				a, c := noise(m*k), make([]float32, m*n)
				b.Run(fmt.Sprintf("%s/rows-%d/transposed-%t", kind, m, trans), func(b *testing.B) {
					b.SetBytes(int64(w.Bytes(rows * cols)))
					for b.Loop() {
						MatMulWeights(p, Mat(c, m, n), Mat(a, m, k), w, rows, cols, Product{TransB: trans})
					}
					b.ReportMetric(2*float64(m)*rows*cols*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// A head and a table of embeddings as they are stored give what the values that they
// stand for give.
func TestStoredHeadAndTable(t *testing.T) {
	const N, E, V = 9, 64, 50
	r := rand.New(rand.NewPCG(7, 7))
	x, targets := noise(N*E), make([]int32, N)
	for i := range targets {
		targets[i] = int32(i * 7 % V)
	}
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		for _, kind := range []string{"bf16", "q8"} {
			w, values := stored(r, kind, V, E)
			var nll, dx [2][]float32
			for i, o := range []HeadOptions{{Scale: 1}, {Scale: 1, Stored: w}} {
				nll[i], dx[i] = make([]float32, N), make([]float32, N*E)
				head := values
				if i == 1 {
					head = nil
				}
				HeadLoss(p, HeadInput{X: x, W: head, Targets: targets, N: N, E: E, V: V}, o, HeadOutput{NLL: nll[i], DX: dx[i]})
			}
			if d := max(farthest(nll[0], nll[1]), farthest(dx[0], dx[1])); d > 1e-5 {
				t.Errorf("%s: losses or gradients differ by %g", kind, d)
			}
			y, want := make([]float32, N*E), make([]float32, N*E)
			EmbedWeights(p, y, w, targets, V, E)
			EmbedForward(p, want, values, targets, E)
			if !slices.Equal(y, want) {
				t.Errorf("%s: embeddings differ", kind)
			}
		}
	})
}
