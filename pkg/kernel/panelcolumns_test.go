package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// The kernel of a panel by columns against the plain one of rows, on operands that end at an
// unreadable page: it reads and writes what it is given and no more, whatever is fetched beside, and
// gives the same bits by the widened B that it leaves.
func TestPanelColumns(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		f, r := current.panel, rand.New(rand.NewPCG(5, 11))
		if f == nil {
			t.Skip("no panels on this path")
		}
		for i := range 320 {
			rows, k, n := 1+i%f.rows, 1+r.IntN(60), f.columns.cols
			stride, cs := n+r.IntN(3)*r.IntN(20), n+r.IntN(3)*r.IntN(20)
			a, _ := fencedNoise(t, r, (k-1)*f.rows+rows)
			x, _ := fencedNoise(t, r, (k-1)*stride+n)
			b, _ := fencedBF16(t, x)
			wide, within := fence(t, k*n)
			c, intact := fencedNoise(t, r, (rows-1)*cs+n)
			before := slices.Clone(c)
			got := tile{a: a, bf16: b.BF16, c: c, k: k, bs: stride, cs: cs, is: cs, rows: rows, cols: n, sums: wide, next: unsafe.Pointer(&b.BF16[0])}
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
				if !(math.Abs(float64(c[i]-w)) <= 1e-5*float64(k)) || i%cs >= n && c[i] != w {
					t.Fatalf("%d rows, %d values, rows of B %d and of C %d apart: value %d is %g, want %g", rows, k, stride, cs, i, c[i], w)
				}
			}
			first := slices.Clone(c)
			copy(c, before)
			got.bf16 = nil
			f.columns.run(&got)
			if !slices.Equal(c, first) {
				t.Fatalf("%d rows, %d values by the widened columns: %v, want %v", rows, k, c, first)
			}
			if !intact() || !within() {
				t.Fatal("wrote before C or the widened columns")
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
		for i := range 60 {
			k, tiles := aheadStep*(1+i%12), 1+i%4
			stride, cols := k+r.IntN(3)*r.IntN(20), tiles*aheadCols
			a, _ := fencedNoise(t, r, k*f.rows)
			x, _ := fencedNoise(t, r, (cols-1)*stride+k)
			y, _ := fencedNoise(t, r, (aheadCols-1)*stride+k)
			b, _ := fencedBF16(t, x)
			next, _ := fencedBF16(t, y)
			buffers, intact := [2][]float32{}, [3]func() bool{}
			for i := range buffers {
				buffers[i], intact[i] = fence(t, (aheadCols-1)*aheadRow+k)
			}
			c, beside := fencedNoise(t, r, cols*f.rows)
			intact[2] = beside
			got := tile{a: a, bf16: b.BF16, b: buffers[0], sums: buffers[1], c: c, k: k, bs: stride, cols: cols, next: unsafe.Pointer(&next.BF16[0])}
			want := slices.Clone(c)
			if i%2 == 0 {
				got.init = got.c
			}
			first := tile{k: k, bs: stride, sums: got.b, next: unsafe.Pointer(&b.BF16[0])}
			f.widen(&first)
			f.ahead(&got)
			for j := 0; j < cols; j += aheadCols {
				one := tile{a: a, bf16: b.BF16[j*stride:], c: want[j*f.rows:], k: k, bs: stride, cols: aheadCols, next: unsafe.Pointer(&b.BF16[0])}
				if got.init != nil {
					one.init = one.c
				}
				f.bf16.run(&one)
			}
			if !slices.Equal(c, want) {
				t.Fatalf("%d rows of %d values: %v, want %v", cols, k, c, want)
			}
			then := buffers[tiles%2]
			for j, v := range next.values() {
				if row, at := j/stride, j%stride; at < k && then[row*aheadRow+at/aheadStep*aheadStep+at%aheadStep/2+at%2*aheadStep/2] != v {
					t.Fatalf("%d rows of %d values: value %d of the next row %d is not where it is read", cols, k, at, row)
				}
			}
			for _, ok := range intact {
				if !ok() {
					t.Fatal("wrote before the rows or the sums")
				}
			}
		}
	})
}
