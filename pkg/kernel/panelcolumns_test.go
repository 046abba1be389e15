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

// The kernel that widens rows ahead gives the bits of the one that widens them as they are
// multiplied, and leaves the next rows as they are wanted.
func TestPanelAhead(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		f, r := current.panel, rand.New(rand.NewPCG(5, 12))
		if f == nil {
			t.Skip("no panels on this path")
		}
		for i := range 40 {
			k := aheadStep * (1 + i%9)
			stride := k + r.IntN(3)*r.IntN(20)
			a, _ := fencedNoise(t, r, k*f.rows)
			x, _ := fencedNoise(t, r, (aheadCols-1)*stride+k)
			y, _ := fencedNoise(t, r, len(x))
			b, _ := fencedBF16(t, x)
			next, _ := fencedBF16(t, y)
			now, _ := fence(t, aheadCols*aheadRow)
			then, intact := fence(t, aheadCols*aheadRow)
			c, beside := fencedNoise(t, r, aheadCols*f.rows)
			want := tile{a: a, bf16: b.BF16, c: slices.Clone(c), k: k, bs: stride, cols: aheadCols, next: unsafe.Pointer(&b.BF16[0])}
			got := want
			got.b, got.sums, got.c = now, now, c
			if i%2 == 0 {
				want.init, got.init = want.c, got.c
			}
			f.widen(&got)
			got.next, got.sums = unsafe.Pointer(&next.BF16[0]), then
			f.ahead(&got)
			f.bf16.run(&want)
			if !slices.Equal(c, want.c) {
				t.Fatalf("%d values: %v, want %v", k, c, want.c)
			}
			for j, v := range next.values() {
				if row, at := j/stride, j%stride; at < k && then[row*aheadRow+at/aheadStep*aheadStep+at%aheadStep/2+at%2*aheadStep/2] != v {
					t.Fatalf("%d values: value %d of row %d is not where it is read", k, at, row)
				}
			}
			if !intact() || !beside() {
				t.Fatal("wrote before the rows or the sums")
			}
		}
	})
}
