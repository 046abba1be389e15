package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// largeGram is from how many columns on a product is made by halves.
const largeGram = 1024

// product adds xᵀx to a symmetric matrix by the fast kernels, for the evidence's moments: of
// a large one the lower half, of which the upper half is then a copy.
func (c *Calibration) product() func(out []float32, n int, x []float32, rows, stride int) {
	return func(out []float32, n int, x []float32, rows, stride int) {
		m := kernel.Matrix{Data: x, Rows: rows, Cols: n, Stride: stride}
		if n <= largeGram {
			kernel.MatMul(c.Pool, kernel.Mat(out, n, n), m, m, kernel.Product{TransA: true, Accumulate: true})
			return
		}
		coupled.LowerGram(c.Pool, out, m, true)
		coupled.MirrorLower(out, n)
	}
}
