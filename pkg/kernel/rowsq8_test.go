package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A row of a product with weights of Q8 that are not transposed has the same bits beside no
// other row, a few and many: with kernels of few rows and with register tiles. The inner
// length is more than a tile's slice.
func TestRowsQ8KeepTheirBits(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 5))
	for _, size := range [][2]int{{1, 32}, {70, 64}, {1100, 96}, {33, 1120}} { // rows and columns of the weights
		k, n := size[0], size[1]
		w, _ := stored(r, "q8", k, n)
		const m = 40
		a, bias, residual := noise(m*k), noise(n), noise(m*n)
		eachPath(t, func(t *testing.T) {
			p := NewPool(3)
			defer p.Close()
			mul := func(c []float32, lo, rows int) {
				o := Product{Bias: bias, Residual: residual[lo*n:]}
				MatMulWeights(p, Mat(c, rows, n), Mat(a[lo*k:], rows, k), w, k, n, o)
			}
			all := make([]float32, m*n)
			mul(all, 0, m)
			for lo, rows := 0, 1; lo+rows <= m; lo, rows = lo+rows, rows+1 { // 1 to 8
				c, intact := fence(t, rows*n)
				mul(c, lo, rows)
				if !slices.Equal(c, all[lo*n:][:rows*n]) || !intact() {
					t.Fatalf("%v: rows %d to %d have other bits than among %d", size, lo, lo+rows, m)
				}
			}
			c := make([]float32, 16*n)
			if mul(c, 3, 16); !slices.Equal(c, all[3*n:][:16*n]) {
				t.Fatalf("%v: 16 rows have other bits than among %d", size, m)
			}
		})
	}
}

// The kernel that adds to the sums of a row gives the bits of that of some rows, for any number of
// rows of B and of its blocks, between fences.
func TestRowQ8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 7))
	for _, k := range []int{1, 2, 3, 8, 33} {
		for blocks := 1; blocks <= 3; blocks++ {
			n, bs := blocks*Q8Block, (blocks+1)*Q8Bytes
			q, _ := fencedBytes(t, (k-1)*bs+blocks*Q8Bytes)
			extremeBytes(r, q, true)
			a, _ := fencedNoise(t, r, k)
			before := noise(n)
			eachPath(t, func(t *testing.T) {
				if current.rowQ8 == nil {
					t.Skip("one row is done as some are")
				}
				want := slices.Clone(before)
				for j := range blocks {
					current.rowsQ8(&tile{a: a, q8: q[j*Q8Bytes:], sums: want[j*Q8Block:], c: want, k: k, bs: bs, rows: 1, part: partGoesOn | partIsLeft})
				}
				sums, intact := fence(t, n)
				copy(sums, before)
				current.rowQ8(&tile{a: a, q8: q, sums: sums, k: k, bs: bs, cols: n})
				if !slices.Equal(sums, want) || !intact() {
					t.Fatalf("%d rows of %d columns: %v, want %v", k, n, sums, want)
				}
			})
		}
	}
}
