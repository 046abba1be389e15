package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestProductsAtAPagesEnd: operands and results that end at an unreadable page, of
// every form and type on every path: what reads or writes behind them faults. The
// values are those of ordinary memory.
func TestProductsAtAPagesEnd(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	r := rand.New(rand.NewPCG(11, 3))
	fenced := func(n int) []float32 {
		s, _ := fence(t, n)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	for _, shape := range [][3]int{{1, 1, 1}, {1, 37, 61}, {3, 130, 65}, {8, 33, 129}, {6, 113, 530}, {11, 50, 270}, {15, 31, 17}, {29, 97, 70}, {61, 37, 40}, {16, 54, 64}, {18, 101, 1024}} {
		m, n, k := shape[0], shape[1], shape[2]
		a, b, c, bias := fenced(m*k), fenced(k*n), fenced(m*n), fenced(n)
		words := fenced((k*n + 1) / 2)
		bits := unsafe.Slice((*uint16)(unsafe.Pointer(&words[0])), 2*len(words))[2*len(words)-k*n:]
		ToBF16(bits, b)
		want := make([]float32, m*n)
		eachPath(t, func(t *testing.T) {
			for form := range 4 {
				o := Product{TransA: form&1 > 0, TransB: form&2 > 0, Bias: bias}
				x, y := Mat(a, m, k), Mat(b, k, n)
				if o.TransA {
					x = Mat(a, k, m)
				}
				if o.TransB {
					y = Mat(b, n, k)
				}
				h := Matrix16{Data: bits, Rows: y.Rows, Cols: y.Cols, Stride: y.Cols}
				for _, o.BF16 = range []bool{false, true} {
					copied := x
					copied.Data = append([]float32(nil), x.Data...)
					for name, mul := range map[string]func(c []float32, x Matrix){
						"float32 weights":  func(c []float32, x Matrix) { MatMul(p, Mat(c, m, n), x, y, o) },
						"bfloat16 weights": func(c []float32, x Matrix) { MatMul16(p, Mat(c, m, n), x, h, o) },
					} {
						mul(want, copied)
						mul(c, x)
						for i := range want {
							if c[i] != want[i] {
								t.Fatalf("%v form %d bf16 %t, %s: value %d is %g, expected %g", shape, form, o.BF16, name, i, c[i], want[i])
							}
						}
					}
				}
			}
		})
	}
}
