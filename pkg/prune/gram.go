package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
)

const gramBand = 512 // columns of a band of a large product

// product adds xᵀx to a symmetric matrix by the fast kernels, for the evidence's moments: of
// a large one the lower half, of which the upper half is then a copy.
func (c *Calibration) product() func(out []float32, n int, x []float32, rows, stride int) {
	return func(out []float32, n int, x []float32, rows, stride int) {
		side := func(lo, hi int) kernel.Matrix {
			return kernel.Matrix{Data: x[lo:], Rows: rows, Cols: hi - lo, Stride: stride}
		}
		o := kernel.Product{TransA: true, Accumulate: true}
		if n <= 2*gramBand {
			kernel.MatMul(c.Pool, kernel.Mat(out, n, n), side(0, n), side(0, n), o)
			return
		}
		for lo := 0; lo < n; lo += gramBand {
			hi := min(lo+gramBand, n)
			band := kernel.Matrix{Data: out[lo*n+lo:], Rows: n - lo, Cols: hi - lo, Stride: n}
			kernel.MatMul(c.Pool, band, side(lo, n), side(lo, hi), o)
		}
		coupled.MirrorLower(out, n)
	}
}

// gramFLOPs is the operations of product.
func gramFLOPs(n, rows int) int64 {
	f := 2 * int64(n) * int64(n) * int64(rows)
	if n > 2*gramBand {
		f = f/2 + int64(n)*int64(rows)*gramBand
	}
	return f
}
