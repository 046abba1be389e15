package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// KernelRow is one kernel on one path.
type KernelRow struct {
	Kernel string  `json:"kernel"`
	Group  string  `json:"group"` // of the plot
	Path   string  `json:"path"`
	Ms     float64 `json:"ms"`
	GBs    float64 `json:"gb_s"`   // each value read or written counts once
	GFLOPS float64 `json:"gflops"` // of matrix products; 0 where there are none
	Share  float64 `json:"share"`  // of the measured peak: of FLOP/s of its type where there are products, else of reads
	// Intensity is arithmetic operations a byte.
	Intensity float64 `json:"intensity"`
}

// KernelsResult is what bench kernels prints with --json.
type KernelsResult struct {
	Threads  int         `json:"threads"`
	PeakF32  float64     `json:"peak_f32_gflops"`
	PeakBF16 float64     `json:"peak_bf16_gflops"` // 0 where there are no such products
	ReadGBs  float64     `json:"read_gb_s"`
	Rows     []KernelRow `json:"rows"`
}

func benchKernelsCommand() *cli.Command {
	return &cli.Command{
		Name:  "kernels",
		Usage: "time single operations, the best path and the portable one, against the measured peaks",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rows", Value: 4096, Usage: "tokens, `N`, a multiple of 4"},
			&cli.IntFlag{Name: "width", Value: 1024, Usage: "columns, `E`, a multiple of 64"},
			&cli.IntFlag{Name: "steps", Value: 5, Usage: "timed runs, `N`; the median counts"},
			&cli.StringFlag{Name: "plot", Usage: "draw where each kernel stands below the machine's limits to `FILE`, .svg or .png"},
			threadsFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			n, e := c.Int("rows"), c.Int("width")
			if n < 4 || n%4 != 0 || n > 1<<16 || e < 64 || e%64 != 0 || e > 1<<14 || c.Int("steps") < 1 || c.Int("threads") < 0 {
				return fault.Usage(fmt.Errorf("--rows is expected to be a multiple of 4 up to %d, --width of 64 up to %d, --steps at least 1, --threads at least 0", 1<<16, 1<<14))
			}
			if name := c.String("plot"); name != "" {
				if err := report.CheckName(name); err != nil {
					return fault.Usage(err)
				}
			}
			return RunBenchKernels(n, e, c.Int("steps"), c.Int("threads"), c.String("plot"), c.Bool("json"), c.App.Writer)
		},
	}
}

// RunBenchKernels times operations on n rows of e values.
func RunBenchKernels(n, e, steps, threads int, plot string, asJSON bool, out io.Writer) error {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	r := KernelsResult{Threads: pool.Threads(), PeakF32: kernel.PeakFLOPS(pool, 0.3) / 1e9, PeakBF16: kernel.PeakBF16(pool, 0.3) / 1e9, ReadGBs: kernel.ReadBandwidth(pool) / 1e9}
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
			row := KernelRow{Kernel: k.name, Group: k.group(), Path: path, Ms: ms, GBs: float64(k.bytes) / ms / 1e6, GFLOPS: k.flops / ms / 1e6, Intensity: (k.flops + k.ops) / float64(k.bytes)}
			switch row.Share = row.GBs / r.ReadGBs; {
			case k.flops > 0 && k.bf16 && r.PeakBF16 > 0:
				row.Share = row.GFLOPS / r.PeakBF16
			case k.flops > 0:
				row.Share = row.GFLOPS / r.PeakF32
			}
			r.Rows = append(r.Rows, row)
		}
	}
	if err := kernel.UsePath(best); err != nil {
		return err
	}
	if plot != "" {
		picture, err := r.roofline().Encode(plot, 860, 520)
		if err != nil {
			return err
		}
		if err := os.WriteFile(plot, picture, 0o644); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%d threads; measured peaks: %.0f GFLOP/s float32, %.0f bfloat16, reads %.1f GB/s\n\n", r.Threads, r.PeakF32, r.PeakBF16, r.ReadGBs)
	t := newTable("kernel", "path", "ms", "GB/s", "GFLOP/s", "of peak")
	for _, k := range r.Rows {
		t.add(k.Kernel, k.Path, fmt.Sprintf("%.2f", k.Ms), fmt.Sprintf("%.1f", k.GBs), fmt.Sprintf("%.1f", k.GFLOPS), fmt.Sprintf("%.2f", k.Share))
	}
	t.print(out)
	return nil
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
	weight, half := ramp(e*e), make([]uint16, n)
	kernel.ToBF16(half, x)
	token, scores := ramp(16*e), make([]float32, 16*rows)
	square := 2 * float64(n) * float64(e)
	// each is an operation on all n values: how many it moves for one, and its
	// arithmetic operations for one, exponential and division as one each.
	each := func(name string, values int, ops float64, run func()) timedKernel {
		return timedKernel{name: name, bytes: 4 * values * n, ops: ops * float64(n), run: run}
	}
	return []timedKernel{
		each("add", 3, 1, func() { kernel.Add(p, y, x, z) }),
		each("layernorm", 2, 7, func() { kernel.LayerNormForward(p, y, mean, rstd, x, gain, gain, rows, e, 1e-5) }),
		each("layernorm backward", 3, 13, func() { kernel.LayerNormBackward(p, y, z, x, gain, mean, rstd, rows, e) }),
		each("rmsnorm", 2, 4, func() { kernel.RMSNormForward(p, y, rstd, x, gain, rows, e, kernel.RMSNorm{}) }),
		each("rmsnorm backward", 3, 10, func() { kernel.RMSNormBackward(p, y, z, x, gain, rstd, rows, e, kernel.RMSNorm{}) }),
		each("gelu", 2, 9, func() { kernel.GELUForward(p, y, x, true) }),
		each("gelu backward", 3, 16, func() { kernel.GELUBackward(p, y, z, x, true) }),
		each("swiglu", 3, 5, func() { kernel.SwiGLUForward(p, y, w, rows, e) }),
		each("swiglu backward", 5, 11, func() { kernel.SwiGLUBackward(p, dqkv[:2*n], z, w, rows, e) }),
		each("rope", 6, 6, func() { kernel.RoPEForward(p, dqkv, qkv, rot, s, nil) }),
		each("gatedot", 2, 2, func() { kernel.GateDot(p, dqkv[:4*e], x, z, 4, rows/4, e, 0, e, 1) }),
		each("sumsquares", 1, 2, func() { kernel.SumSquares(p, x) }),
		each("adamw", 7, 13, func() { kernel.AdamWStep(p, w[:n], x, z, w[n:], adam) }),
		each("adamw, moments bf16", 5, 13, func() { kernel.AdamW16Step(p, w[:n], x, z, 0, adam) }),
		{name: "attention", bytes: 16 * n, flops: 4 * pairs, run: func() { kernel.AttentionForward(p, y, lse, qkv, nil, s) }},
		{name: "attention backward", bytes: 32 * n, flops: 10 * pairs, run: func() { kernel.AttentionBackward(p, dqkv, z, y, lse, qkv, nil, s) }},
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
			kernel.MatMul16(p, kernel.Mat(scores[:rows], 1, rows), kernel.Mat(token[:e], 1, e), kernel.Matrix16{Data: half, Rows: rows, Cols: e, Stride: e}, kernel.Product{TransB: true, BF16: true})
		}},
		{name: "tokens, 16", bytes: 4 * n, flops: 32 * float64(n), run: func() {
			kernel.MatMul(p, kernel.Mat(scores, 16, rows), kernel.Mat(token, 16, e), kernel.Mat(x, rows, e), kernel.Product{TransB: true})
		}},
		{name: "tokens, 16, weights bf16", bytes: 2 * n, flops: 32 * float64(n), bf16: true, run: func() {
			kernel.MatMul16(p, kernel.Mat(scores, 16, rows), kernel.Mat(token, 16, e), kernel.Matrix16{Data: half, Rows: rows, Cols: e, Stride: e}, kernel.Product{TransB: true, BF16: true})
		}},
		{name: "rounding to bf16, one thread", bytes: 6 * n, ops: float64(n), run: func() { kernel.ToBF16(half, x) }},
	}
}

// roofline is where the kernels of one path stand below what the machine allows:
// bandwidth times intensity, and the peak.
func (r *KernelsResult) roofline() report.Chart {
	f := report.Chart{
		Title: fmt.Sprintf("%s, %d threads", r.Rows[0].Path, r.Threads), X: "operations per byte", Unit: "operations per second, 10^9", LogX: true, LogY: true,
	}
	roof := func(name string, peak float64) {
		if peak <= 0 {
			return
		}
		ridge := peak / r.ReadGBs
		f.Curves = append(f.Curves, report.Curve{Name: name, Style: len(f.Curves), X: []float64{1.0 / 16, ridge, 1024}, Y: []float64{r.ReadGBs / 16, peak, peak}})
	}
	roof("reads and the float32 peak", r.PeakF32)
	roof("reads and the bfloat16 peak", r.PeakBF16)
	at := map[string]int{}
	for _, k := range r.Rows {
		if k.Path != r.Rows[0].Path {
			continue
		}
		if _, ok := at[k.Group]; !ok {
			at[k.Group] = len(f.Curves)
			f.Curves = append(f.Curves, report.Curve{Name: k.Group, Style: len(f.Curves), Scatter: true})
		}
		c := &f.Curves[at[k.Group]]
		c.X, c.Y = append(c.X, k.Intensity), append(c.Y, k.Intensity*k.GBs)
	}
	return f
}

// ramp is n small positive values.
func ramp(n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(i%17+1) / 17
	}
	return s
}
