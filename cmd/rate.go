package cmd

import (
	"time"

	"github.com/ecospa/ecospa/pkg/kernel"
)

func kernelPath() string { return kernel.CurrentPath() }

// productRate measures what the matrix products reach here, in FLOP/s: a tenth
// of a second of square products.
func productRate(p *kernel.Pool, bf16 bool) float64 {
	const n = 384
	buf := make([]float32, 3*n*n)
	for i := range buf {
		buf[i] = 1
	}
	a, b, c := kernel.Mat(buf[:n*n], n, n), kernel.Mat(buf[n*n:2*n*n], n, n), kernel.Mat(buf[2*n*n:], n, n)
	kernel.MatMul(p, c, a, b, kernel.Product{BF16: bf16})
	start, done := time.Now(), 0
	for time.Since(start) < 100*time.Millisecond {
		kernel.MatMul(p, c, a, b, kernel.Product{BF16: bf16})
		done++
	}
	return float64(done) * 2 * n * n * n / time.Since(start).Seconds()
}
