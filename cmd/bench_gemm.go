package cmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/kernel"
	seam "github.com/ecospa/ecospa/pkg/kernel/blas"
)

// GemmRow is one product of bench gemm.
type GemmRow struct {
	M, N, K int     `json:"-"`
	Shape   string  `json:"shape"` // m x n x k
	Form    string  `json:"form"`  // NN, NT, TN or TT
	Path    string  `json:"path"`  // CPU path; gonum; or gonum's place: through the seam that Gorgonia's own operations use
	DType   string  `json:"dtype"`
	GFLOPS  float64 `json:"gflops"`
	Share   float64 `json:"share"` // of the peak of the type, the larger of one measured before and one behind this product
}

// GemmResult is what bench gemm prints with --json.
type GemmResult struct {
	Threads  int       `json:"threads"`
	PeakF32  float64   `json:"peak_f32_gflops"`
	PeakBF16 float64   `json:"peak_bf16_gflops"`
	ReadGBs  float64   `json:"read_gb_s"`
	Rows     []GemmRow `json:"rows"`
}

func benchGemmCommand() *cli.Command {
	return &cli.Command{
		Name:  "gemm",
		Usage: "time matrix products against the machine's measured peak, the portable path and gonum",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "size", Value: 1024, Usage: "rows, columns and inner length, `N`"},
			&cli.IntFlag{Name: "steps", Value: 5, Usage: "timed products, `N`; the median counts"},
			&cli.BoolFlag{Name: "all-paths", Usage: "time every CPU path and gonum, not only the best one"},
			&cli.StringFlag{Name: "step", Usage: "time the products of a training step of `MODEL` instead, B=4 T=256"},
			&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of what the products of --step read: f32 or bf16"},
			&cli.BoolFlag{Name: "staircase", Usage: "time products and attention against width instead, as pruning makes them"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.Int("size") < 1 || c.Int("size") > 1<<14 || c.Int("steps") < 1 || c.Int("threads") < 0 {
				return fault.Usage(fmt.Errorf("--size is expected to be 1 to %d, --steps at least 1, --threads at least 0", 1<<14))
			}
			if d := c.String("dtype"); d != "f32" && d != "bf16" || d == "bf16" && c.String("step") == "" {
				return fault.Usage(fmt.Errorf("--dtype is %q, expected f32, or bf16 with --step", d))
			}
			if c.Bool("staircase") || c.String("step") != "" {
				if c.IsSet("size") || c.Bool("all-paths") || c.Bool("staircase") && c.String("step") != "" {
					return fault.Usage(errors.New("--staircase and --step go without each other, --size and --all-paths"))
				}
			}
			if name := c.String("step"); name != "" {
				return RunStepProducts(BenchOptions{Model: name, Batch: 4, Seq: 256, Steps: c.Int("steps"), Threads: c.Int("threads"), BF16: c.String("dtype") == "bf16", JSON: c.Bool("json")}, c.App.Writer)
			}
			if c.Bool("staircase") {
				return RunStaircase(c.Int("steps"), c.Int("threads"), c.Bool("json"), c.App.Writer)
			}
			return RunBenchGemm(c.Int("size"), c.Int("steps"), c.Int("threads"), c.Bool("all-paths"), c.Bool("json"), c.App.Writer)
		},
	}
}

// RunBenchGemm times products of n x n matrices in all forms.
func RunBenchGemm(n, steps, threads int, all, asJSON bool, out io.Writer) error {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	r := GemmResult{
		Threads: pool.Threads(), PeakF32: kernel.PeakFLOPS(pool, 0.3) / 1e9, PeakBF16: kernel.PeakBF16(pool, 0.3) / 1e9,
		ReadGBs: kernel.ReadBandwidth(pool) / 1e9,
	}
	buf := make([]float32, 3*n*n)
	for i := range buf {
		buf[i] = float32(i%17) / 17
	}
	a, b, c := kernel.Mat(buf[:n*n], n, n), kernel.Mat(buf[n*n:2*n*n], n, n), kernel.Mat(buf[2*n*n:], n, n)
	// The clock changes with heat and with what else the machine does: a share is of the
	// larger of the peaks right before and behind the product.
	row := func(form, path, dtype string, f func()) {
		peakOf := kernel.PeakFLOPS
		if dtype == "bf16" {
			peakOf = kernel.PeakBF16
		}
		before := peakOf(pool, 0.05)
		ms, _ := timed(steps, func() error { f(); return nil })
		peak := max(before, peakOf(pool, 0.05)) / 1e9
		g := 2 * float64(n) * float64(n) * float64(n) / ms / 1e6
		r.Rows = append(r.Rows, GemmRow{Shape: fmt.Sprintf("%dx%dx%d", n, n, n), Form: form, Path: path, DType: dtype, GFLOPS: g, Share: g / peak})
	}
	forms := []struct {
		name   string
		ta, tb bool
	}{{"NN", false, false}, {"NT", false, true}, {"TN", true, false}, {"TT", true, true}}
	best := kernel.CurrentPath()
	paths := []string{best}
	if all {
		paths = kernel.Paths()
	}
	for _, p := range paths {
		if err := kernel.UsePath(p); err != nil {
			return err
		}
		for _, f := range forms {
			row(f.name, p, "f32", func() { kernel.MatMul(pool, c, a, b, kernel.Product{TransA: f.ta, TransB: f.tb}) })
			if kernel.HasBF16() {
				row(f.name, p, "bf16", func() { kernel.MatMul(pool, c, a, b, kernel.Product{TransA: f.ta, TransB: f.tb, BF16: true}) })
			}
		}
	}
	if err := kernel.UsePath(best); err != nil {
		return err
	}
	if all {
		row("NN", "gonum", "f32", func() {
			gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a.Data, n, b.Data, n, 0, c.Data, n)
		})
		ours := seam.New(threads)
		defer ours.Close()
		row("NN", "gonum's place", "f32", func() {
			ours.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, a.Data, n, b.Data, n, 0, c.Data, n)
		})
	}
	if asJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%d threads; measured peaks: %.0f GFLOP/s float32, %.0f bfloat16, reads %.1f GB/s\n\n", r.Threads, r.PeakF32, r.PeakBF16, r.ReadGBs)
	t := newTable("shape", "form", "path", "type", "GFLOP/s", "of peak")
	for _, g := range r.Rows {
		t.add(g.Shape, g.Form, g.Path, g.DType, fmt.Sprintf("%.1f", g.GFLOPS), fmt.Sprintf("%.2f", g.Share))
	}
	t.print(out)
	return nil
}
