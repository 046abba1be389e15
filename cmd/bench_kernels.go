package cmd

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// KernelRow is one kernel on one path.
type KernelRow struct {
	Kernel string  `json:"kernel"`
	Path   string  `json:"path"`
	Ms     float64 `json:"ms"`
	GBs    float64 `json:"gb_s"`   // each value read or written counts once
	GFLOPS float64 `json:"gflops"` // of matrix products; 0 where there are none
	Share  float64 `json:"share"`  // of the measured peak: of FLOP/s where there are products, else of reads
}

// KernelsResult is what bench kernels prints with --json.
type KernelsResult struct {
	Threads int         `json:"threads"`
	PeakF32 float64     `json:"peak_f32_gflops"`
	ReadGBs float64     `json:"read_gb_s"`
	Rows    []KernelRow `json:"rows"`
}

func benchKernelsCommand() *cli.Command {
	return &cli.Command{
		Name:  "kernels",
		Usage: "time single operations, the best path and the portable one, against the measured peaks",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rows", Value: 4096, Usage: "tokens, `N`, a multiple of 4"},
			&cli.IntFlag{Name: "width", Value: 1024, Usage: "columns, `E`, a multiple of 64"},
			&cli.IntFlag{Name: "steps", Value: 5, Usage: "timed runs, `N`; the median counts"},
			threadsFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			n, e := c.Int("rows"), c.Int("width")
			if n < 4 || n%4 != 0 || n > 1<<16 || e < 64 || e%64 != 0 || e > 1<<14 || c.Int("steps") < 1 || c.Int("threads") < 0 {
				return usage(fmt.Errorf("--rows is expected to be a multiple of 4 up to %d, --width of 64 up to %d, --steps at least 1, --threads at least 0", 1<<16, 1<<14))
			}
			return RunBenchKernels(n, e, c.Int("steps"), c.Int("threads"), c.Bool("json"), c.App.Writer)
		},
	}
}

// timedKernel is an operation with what it moves and computes.
type timedKernel struct {
	name   string
	values int // read and written
	flops  float64
	run    func()
}

// RunBenchKernels times operations on n rows of e values.
func RunBenchKernels(n, e, steps, threads int, asJSON bool, out io.Writer) error {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	r := KernelsResult{Threads: pool.Threads(), PeakF32: kernel.PeakFLOPS(pool, 0.3) / 1e9, ReadGBs: kernel.ReadBandwidth(pool) / 1e9}
	best := kernel.CurrentPath()
	paths := []string{best}
	if best != "portable" {
		paths = append(paths, "portable")
	}
	for _, k := range kernelsToTime(pool, n, e) {
		for _, path := range paths {
			if err := kernel.UsePath(path); err != nil {
				return err
			}
			ms, _ := timed(steps, func() error { k.run(); return nil })
			row := KernelRow{Kernel: k.name, Path: path, Ms: ms, GBs: 4 * float64(k.values) / ms / 1e6, GFLOPS: k.flops / ms / 1e6}
			if row.Share = row.GBs / r.ReadGBs; k.flops > 0 {
				row.Share = row.GFLOPS / r.PeakF32
			}
			r.Rows = append(r.Rows, row)
		}
	}
	if err := kernel.UsePath(best); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%d threads; measured peaks: %.0f GFLOP/s float32, reads %.1f GB/s\n\n", r.Threads, r.PeakF32, r.ReadGBs)
	t := newTable("kernel", "path", "ms", "GB/s", "GFLOP/s", "of peak")
	for _, k := range r.Rows {
		t.add(k.Kernel, k.Path, fmt.Sprintf("%.2f", k.Ms), fmt.Sprintf("%.1f", k.GBs), fmt.Sprintf("%.1f", k.GFLOPS), fmt.Sprintf("%.2f", k.Share))
	}
	t.print(out)
	return nil
}

func kernelsToTime(p *kernel.Pool, rows, e int) []timedKernel {
	n := rows * e
	x, y, z, w := ramp(n), ramp(n), ramp(n), ramp(2*n)
	gain, mean, rstd := ramp(e), make([]float32, rows), make([]float32, rows)
	s := kernel.AttnShape{B: 4, T: rows / 4, G: e / 64, R: 1, QK: 64, VO: 64, Scale: 0.125, Causal: true}
	qkv, dqkv, lse := ramp(3*n), make([]float32, 3*n), make([]float32, rows*s.G)
	cos, sin := ramp(s.T*32), ramp(s.T*32)
	adam := kernel.AdamWArgs{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, GradScale: 1, Step: 10}
	pairs := float64(4*s.G) * float64(s.T) * float64(s.T+1) / 2 * 64
	weight := ramp(e * e)
	return []timedKernel{
		{"add", 3 * n, 0, func() { kernel.Add(p, y, x, z) }},
		{"layernorm", 2 * n, 0, func() { kernel.LayerNormForward(p, y, mean, rstd, x, gain, gain, rows, e, 1e-5) }},
		{"layernorm backward", 3 * n, 0, func() { kernel.LayerNormBackward(p, y, z, x, gain, mean, rstd, rows, e) }},
		{"rmsnorm", 2 * n, 0, func() { kernel.RMSNormForward(p, y, rstd, x, gain, rows, e, 1e-5) }},
		{"rmsnorm backward", 3 * n, 0, func() { kernel.RMSNormBackward(p, y, z, x, gain, rstd, rows, e) }},
		{"gelu", 2 * n, 0, func() { kernel.GELUForward(p, y, x, true) }},
		{"gelu backward", 3 * n, 0, func() { kernel.GELUBackward(p, y, z, x, true) }},
		{"swiglu", 3 * n, 0, func() { kernel.SwiGLUForward(p, y, w, rows, e) }},
		{"swiglu backward", 5 * n, 0, func() { kernel.SwiGLUBackward(p, dqkv[:2*n], z, w, rows, e) }},
		{"rope", 6 * n, 0, func() { kernel.RoPEForward(p, dqkv, qkv, cos, sin, s, false, 0) }},
		{"gatedot", 2 * n, 0, func() { kernel.GateDot(p, dqkv[:4*e], x, z, 4, rows/4, e, 0, e, 1) }},
		{"sumsquares", n, 0, func() { kernel.SumSquares(p, x) }},
		{"adamw", 7 * n, 0, func() { kernel.AdamWStep(p, w[:n], x, z, w[n:], adam) }},
		{"attention", 4 * n, 4 * pairs, func() { kernel.AttentionForward(p, y, lse, qkv, s) }},
		{"attention backward", 8 * n, 10 * pairs, func() { kernel.AttentionBackward(p, dqkv, z, y, lse, qkv, s) }},
		{"product", 2*n + e*e, 2 * float64(n) * float64(e), func() {
			kernel.MatMul(p, kernel.Mat(y, rows, e), kernel.Mat(x, rows, e), kernel.Mat(weight, e, e), kernel.Product{TransB: true})
		}},
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
