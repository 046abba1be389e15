package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

func address(s []float32) uintptr { return uintptr(unsafe.Pointer(&s[0])) }

func filled(r *rand.Rand, rows, cols int) Matrix {
	m := Mat(make([]float32, rows*cols), rows, cols)
	for i := range m.Data {
		m.Data[i] = r.Float32() - 0.5
	}
	return m
}

// BenchmarkMatMul reports GFLOP/s of square products, beside gonum's sgemm, and what
// they are of the machine's peak for their type: the clock changes with heat and with
// what else the machine does, so that the larger of the peaks measured right before and
// after a product counts.
func BenchmarkMatMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{64, 256, 1024} {
		x, y, c := filled(r, n, n), filled(r, n, n), filled(r, n, n)
		rate := func(b *testing.B) float64 {
			g := 2 * float64(n) * float64(n) * float64(n) * float64(b.N) / b.Elapsed().Seconds() / 1e9
			b.ReportMetric(g, "GFLOP/s")
			return g
		}
		for _, o := range []Product{{}, {TransB: true}, {TransA: true}, {TransA: true, TransB: true}} {
			for _, path := range Paths() {
				for _, o.BF16 = range []bool{false, true} {
					b.Run(fmt.Sprintf("n=%d/ta=%v/tb=%v/%s/bf16=%v", n, o.TransA, o.TransB, path, o.BF16), func(b *testing.B) {
						defer UsePath(CurrentPath())
						UsePath(path)
						if o.BF16 && !HasBF16() {
							b.Skip("no products of bfloat16 on this path")
						}
						p := NewPool(0)
						defer p.Close()
						peak := PeakFLOPS
						if o.BF16 {
							peak = PeakBF16
						}
						before := peak(p, 0.05)
						for b.Loop() {
							MatMul(p, c, x, y, o)
						}
						b.ReportMetric(rate(b)*1e9/max(before, peak(p, 0.05)), "of-peak")
					})
				}
				o.BF16 = false
			}
			b.Run(fmt.Sprintf("n=%d/ta=%v/tb=%v/gonum", n, o.TransA, o.TransB), func(b *testing.B) {
				t := map[bool]blas.Transpose{false: blas.NoTrans, true: blas.Trans}
				for b.Loop() {
					gonum.Implementation{}.Sgemm(t[o.TransA], t[o.TransB], n, n, n, 1, x.Data, n, y.Data, n, 0, c.Data, n)
				}
				rate(b)
			})
		}
	}
}
