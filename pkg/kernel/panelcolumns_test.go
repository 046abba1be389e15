package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// The kernel of a panel by columns against the plain one of rows, on operands that end at an
// unreadable page: it reads and writes what it is given and no more, whatever is fetched beside.
func TestPanelColumns(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		f, r := current.panel, rand.New(rand.NewPCG(5, 11))
		if f == nil {
			t.Skip("no panels on this path")
		}
		for i := range 300 {
			rows, k, n := 1+i%f.columns.rows, 1+r.IntN(60), f.columns.cols
			stride := n + r.IntN(3)*r.IntN(20)
			a, _ := fencedNoise(t, r, (k-1)*f.rows+rows)
			x, _ := fencedNoise(t, r, (k-1)*stride+n)
			b, _ := fencedBF16(t, x)
			c, intact := fencedNoise(t, r, (rows-1)*stride+n)
			got := tile{a: a, bf16: b.BF16, c: c, k: k, bs: stride, cs: stride, is: stride, rows: rows, cols: n, next: unsafe.Pointer(&b.BF16[0]), ns: stride}
			if r.IntN(2) == 0 {
				got.init, _ = fencedNoise(t, r, len(c))
			}
			if r.IntN(2) == 0 {
				got.bias, _ = fencedNoise(t, r, n)
			}
			want := got
			want.c, want.a, want.as = slices.Clone(c), make([]float32, rows*k), k
			for i := range rows {
				for kk := range k {
					want.a[i*k+kk] = a[kk*f.rows+i]
				}
			}
			skinnyRowsPortable(&want)
			f.columns.run(&got)
			for i, w := range want.c {
				if !(math.Abs(float64(c[i]-w)) <= 1e-5*float64(k)) || i%stride >= n && c[i] != w {
					t.Fatalf("%d rows, %d values, rows of C %d apart: value %d is %g, want %g", rows, k, stride, i, c[i], w)
				}
			}
			if !intact() {
				t.Fatal("wrote before C")
			}
		}
	})
}
