package kernel_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// BenchmarkKernels reports of every operation, on the best path and the portable one,
// what it moves and computes against the machine's measured limits. With
// ECOSPA_ROOFLINE=FILE it draws where each stands below them.
func BenchmarkKernels(b *testing.B) {
	pool := kernel.NewPool(0)
	defer pool.Close()
	peak, bf16, reads := kernel.PeakFLOPS(pool, 0.3)/1e9, kernel.PeakBF16(pool, 0.3)/1e9, kernel.ReadBandwidth(pool)/1e9
	best := kernel.CurrentPath()
	paths := []string{best}
	if best != "portable" {
		paths = append(paths, "portable")
	}
	picture := roofline(fmt.Sprintf("%s, %d threads", best, pool.Threads()), peak, bf16, reads)
	for _, k := range kernelsToTime(pool, 4096, 1024) {
		for _, path := range paths {
			b.Run(strings.ReplaceAll(k.name, " ", "-")+"/"+path, func(b *testing.B) {
				if err := kernel.UsePath(path); err != nil {
					b.Fatal(err)
				}
				defer kernel.UsePath(best)
				for b.Loop() {
					k.run()
				}
				s := b.Elapsed().Seconds() / float64(b.N)
				gbs, gflops := float64(k.bytes)/s/1e9, k.flops/s/1e9
				share := gbs / reads
				switch {
				case k.flops > 0 && k.bf16 && bf16 > 0:
					share = gflops / bf16
				case k.flops > 0:
					share = gflops / peak
				}
				b.ReportMetric(gbs, "GB/s")
				b.ReportMetric(gflops, "GFLOP/s")
				b.ReportMetric(share, "of-peak")
				if path == best {
					work := (k.flops + k.ops)
					point(&picture, k.group(), work/float64(k.bytes), work/s/1e9)
				}
			})
		}
	}
	if name := os.Getenv("ECOSPA_ROOFLINE"); name != "" {
		plot, err := picture.Encode(name, 860, 520)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, plot, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// roofline is what the machine allows: reads times intensity, up to the peaks.
func roofline(title string, peak, bf16, reads float64) report.Chart {
	c := report.Chart{Title: title, X: "operations per byte", Unit: "operations per second, 10^9", LogX: true, LogY: true}
	for _, roof := range []struct {
		name string
		peak float64
	}{{"reads and the float32 peak", peak}, {"reads and the bfloat16 peak", bf16}} {
		if roof.peak > 0 {
			c.Curves = append(c.Curves, report.Curve{Name: roof.name, Style: len(c.Curves), X: []float64{1.0 / 16, roof.peak / reads, 1024}, Y: []float64{reads / 16, roof.peak, roof.peak}})
		}
	}
	return c
}

// point adds a kernel to its group's dots; one that ran twice keeps its last place.
func point(c *report.Chart, group string, x, y float64) {
	for i := range c.Curves {
		k := &c.Curves[i]
		if k.Name != group {
			continue
		}
		if n := len(k.X); n > 0 && k.X[n-1] == x {
			k.Y[n-1] = y
			return
		}
		k.X, k.Y = append(k.X, x), append(k.Y, y)
		return
	}
	c.Curves = append(c.Curves, report.Curve{Name: group, Style: len(c.Curves), Scatter: true, X: []float64{x}, Y: []float64{y}})
}

// timedKernel is an operation with what it moves and computes.
type timedKernel struct {
	name  string
	bytes int     // read and written, each value once
	flops float64 // of matrix products
	ops   float64 // arithmetic operations, of an operation without products
	bf16  bool
	run   func()
}

// group is the kernels that a plot shows alike.
func (k timedKernel) group() string {
	switch first, _, _ := strings.Cut(k.name, " "); {
	case k.flops > 0:
		return strings.TrimSuffix(first, ",")
	case strings.HasSuffix(first, "norm"):
		return "norms"
	case first == "gelu" || first == "swiglu":
		return "activations"
	case strings.HasPrefix(first, "adamw"), first == "token" || first == "token,":
		return strings.TrimSuffix(first, ",")
	}
	return "elementwise, sums"
}

func kernelsToTime(p *kernel.Pool, rows, e int) []timedKernel {
	n := rows * e
	x, y, z, w := ramp(n), ramp(n), ramp(n), ramp(2*n)
	gain, mean, rstd := ramp(e), make([]float32, rows), make([]float32, rows)
	s := kernel.AttnShape{B: 4, T: rows / 4, G: e / 64, R: 1, QK: 64, VO: 64, Scale: 0.125, Causal: true}
	qkv, dqkv, lse := ramp(3*n), make([]float32, 3*n), make([]float32, rows*s.G)
	rot := kernel.Rotary{Cos: ramp(s.T * 32), Sin: ramp(s.T * 32), Pairs: 32}
	adam := kernel.AdamWArgs{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, GradScale: 1, Step: 10}
	pairs := float64(4*s.G) * float64(s.T) * float64(s.T+1) / 2 * 64
	weight, bits := ramp(e*e), make([]uint16, n)
	kernel.ToBF16(bits, x)
	token, scores := ramp(16*e), make([]float32, 16*rows)
	square := 2 * float64(n) * float64(e)
	// each is an operation on all n values: how many it moves for one, and its
	// arithmetic operations for one, exponential and division as one each.
	each := func(name string, values int, ops float64, run func()) timedKernel {
		return timedKernel{name: name, bytes: 4 * values * n, ops: ops * float64(n), run: run}
	}
	return []timedKernel{
		each("add", 3, 1, func() { kernel.Add(p, y, x, z) }),
		each("layernorm", 2, 7, func() { kernel.LayerNormForward(p, kernel.Rows{F32: y}, mean, rstd, x, gain, gain, rows, e, 1e-5) }),
		each("layernorm backward", 3, 13, func() { kernel.LayerNormBackward(p, y, z, x, gain, mean, rstd, rows, e) }),
		each("rmsnorm", 2, 4, func() { kernel.RMSNormForward(p, kernel.Rows{F32: y}, rstd, x, gain, rows, e, kernel.RMSNorm{}) }),
		each("rmsnorm backward", 3, 10, func() { kernel.RMSNormBackward(p, y, z, x, gain, rstd, rows, e, kernel.RMSNorm{}) }),
		each("gelu", 2, 9, func() { kernel.GELUForward(p, kernel.Rows{F32: y}, kernel.Rows{F32: x}, n, true) }),
		each("gelu backward", 3, 16, func() { kernel.GELUBackward(p, kernel.Rows{F32: y}, z, kernel.Rows{F32: x}, true) }),
		each("swiglu", 3, 5, func() { kernel.SwiGLUForward(p, kernel.Rows{F32: y}, kernel.Rows{F32: w}, rows, e) }),
		each("swiglu backward", 5, 11, func() { kernel.SwiGLUBackward(p, kernel.Rows{F32: dqkv[:2*n]}, z, kernel.Rows{F32: w}, rows, e) }),
		each("rope", 6, 6, func() { kernel.RoPEForward(p, dqkv, qkv, rot, s, nil) }),
		each("gatedot", 2, 2, func() { kernel.GateDot(p, dqkv[:4*e], kernel.Rows{F32: x}, z, 4, rows/4, e, 0, e, 1) }),
		each("sumsquares", 1, 2, func() { kernel.SumSquares(p, x) }),
		each("adamw", 7, 13, func() { kernel.AdamWStep(p, w[:n], x, z, w[n:], adam) }),
		each("adamw, moments bf16", 5, 13, func() { kernel.AdamW16Step(p, w[:n], x, z, 0, adam) }),
		{name: "attention", bytes: 16 * n, flops: 4 * pairs, run: func() { kernel.AttentionForward(p, kernel.Rows{F32: y}, lse, kernel.Rows{F32: qkv}, nil, s) }},
		{name: "attention backward", bytes: 32 * n, flops: 10 * pairs, run: func() { kernel.AttentionBackward(p, dqkv, z, kernel.Rows{F32: y}, lse, kernel.Rows{F32: qkv}, nil, s) }},
		{name: "product", bytes: 4 * (2*n + e*e), flops: square, run: func() {
			kernel.MatMul(p, kernel.Mat(y, rows, e), kernel.Mat(x, rows, e), kernel.Mat(weight, e, e), kernel.Product{TransB: true})
		}},
		{name: "product bf16", bytes: 4 * (2*n + e*e), flops: square, bf16: true, run: func() {
			kernel.MatMul(p, kernel.Mat(y, rows, e), kernel.Mat(x, rows, e), kernel.Mat(weight, e, e), kernel.Product{TransB: true, BF16: true})
		}},
		{name: "token", bytes: 4 * n, ops: 2 * float64(n), run: func() {
			kernel.MatMul(p, kernel.Mat(scores[:rows], 1, rows), kernel.Mat(token[:e], 1, e), kernel.Mat(x, rows, e), kernel.Product{TransB: true})
		}},
		{name: "token, weights bf16", bytes: 2 * n, ops: 2 * float64(n), run: func() {
			kernel.MatMul16(p, kernel.Mat(scores[:rows], 1, rows), kernel.Mat(token[:e], 1, e), kernel.Matrix16{Data: bits, Rows: rows, Cols: e, Stride: e}, kernel.Product{TransB: true, BF16: true})
		}},
		{name: "tokens, 16", bytes: 4 * n, flops: 32 * float64(n), run: func() {
			kernel.MatMul(p, kernel.Mat(scores, 16, rows), kernel.Mat(token, 16, e), kernel.Mat(x, rows, e), kernel.Product{TransB: true})
		}},
		{name: "tokens, 16, weights bf16", bytes: 2 * n, flops: 32 * float64(n), bf16: true, run: func() {
			kernel.MatMul16(p, kernel.Mat(scores, 16, rows), kernel.Mat(token, 16, e), kernel.Matrix16{Data: bits, Rows: rows, Cols: e, Stride: e}, kernel.Product{TransB: true, BF16: true})
		}},
		{name: "rounding to bf16, one thread", bytes: 6 * n, ops: float64(n), run: func() { kernel.ToBF16(bits, x) }},
	}
}

// ramp is n small positive values.
func ramp(n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(i%17+1) / 17
	}
	return s
}
