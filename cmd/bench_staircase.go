package cmd

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// StairRow is one kernel at one width.
type StairRow struct {
	Kernel string  `json:"kernel"`
	Width  int     `json:"width"`
	Ms     float64 `json:"ms"` // least of the runs
	Rate   float64 `json:"gflops"`
}

// Stair is the worst step of one kernel's staircase.
type Stair struct {
	Kernel string  `json:"kernel"`
	From   int     `json:"from"` // widths, in the order of the time
	To     int     `json:"to"`
	Step   float64 `json:"step"` // time a column at To over that at From, less 1
}

// StaircaseResult is what bench gemm --staircase prints with --json.
type StaircaseResult struct {
	Threads int        `json:"threads"`
	Path    string     `json:"path"`
	Worst   []Stair    `json:"worst"` // by kernel
	Rows    []StairRow `json:"rows"`
}

// stairs is a kernel whose width grows by unit from lo to hi.
type stairs struct {
	name         string
	lo, hi, unit int
	flops        func(width int) float64
	run          func(width int)
}

// RunStaircase times kernels against width, as pruning makes them: the three
// products of a layer for a feed-forward width of some hundreds, and attention
// for every head width. All widths are timed in turn, steps times over, and the
// least time of each counts, so that what else the machine does falls on all.
func RunStaircase(steps, threads int, asJSON bool, out io.Writer) error {
	pool := kernel.NewPool(threads)
	defer pool.Close()
	r := StaircaseResult{Threads: pool.Threads(), Path: kernel.CurrentPath()}
	for _, k := range staircases(pool) {
		least := make([]float64, (k.hi-k.lo)/k.unit+1)
		for i := range least {
			least[i] = math.Inf(1)
		}
		for round := range steps + 1 { // the first touches memory
			for i := range least {
				start := time.Now()
				k.run(k.lo + i*k.unit)
				if ms := time.Since(start).Seconds() * 1e3; round > 0 {
					least[i] = min(least[i], ms)
				}
			}
		}
		worst := Stair{Kernel: k.name, Step: -1}
		for i, ms := range least {
			w := k.lo + i*k.unit
			r.Rows = append(r.Rows, StairRow{k.name, w, ms, k.flops(w) / ms / 1e6})
			if i == 0 {
				continue
			}
			if step := ms/k.flops(w)/(least[i-1]/k.flops(w-k.unit)) - 1; step > worst.Step {
				worst.From, worst.To, worst.Step = w-k.unit, w, step
			}
		}
		r.Worst = append(r.Worst, worst)
	}
	if asJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%d threads, %s; a step is the growth of time over that of work from one width to the next\n\n", r.Threads, r.Path)
	t := newTable("kernel", "worst step", "from", "to")
	for _, w := range r.Worst {
		t.add(w.Kernel, fmt.Sprintf("%+.1f %%", 100*w.Step), w.From, w.To)
	}
	t.print(out)
	return nil
}

func staircases(p *kernel.Pool) []stairs {
	const rows, e, hi = 1024, 512, 768
	x, y, w := ramp(rows*e), make([]float32, rows*hi), ramp(hi*e)
	h, dw := ramp(rows*hi), make([]float32, hi*e)
	product := func(width int) float64 { return 2 * rows * e * float64(width) }
	const heads, length, widest = 8, 256, 72
	qkv, dqkv := ramp(rows*heads*3*widest), make([]float32, rows*heads*3*widest)
	ctx, dctx, lse := make([]float32, rows*heads*widest), ramp(rows*heads*widest), make([]float32, rows*heads)
	shape := func(width int) kernel.AttnShape {
		return kernel.AttnShape{B: rows / length, T: length, G: heads, R: 1, QK: width, VO: width, Scale: 0.1, Causal: true}
	}
	pairs := func(width int) float64 {
		return rows / length * heads * float64(length) * float64(length+1) / 2 * float64(width)
	}
	return []stairs{
		{"y = x·wᵀ", 352, hi, 8, product, func(n int) {
			kernel.MatMul(p, kernel.Mat(y[:rows*n], rows, n), kernel.Mat(x, rows, e), kernel.Mat(w[:n*e], n, e), kernel.Product{TransB: true})
		}},
		{"dx = dy·w", 352, hi, 8, product, func(n int) {
			kernel.MatMul(p, kernel.Mat(x, rows, e), kernel.Mat(h[:rows*n], rows, n), kernel.Mat(w[:n*e], n, e), kernel.Product{})
		}},
		{"dw = dyᵀ·x", 352, hi, 8, product, func(n int) {
			kernel.MatMul(p, kernel.Mat(dw[:n*e], n, e), kernel.Mat(h[:rows*n], rows, n), kernel.Mat(x, rows, e), kernel.Product{TransA: true})
		}},
		{"attention", 24, widest, 1, func(n int) float64 { return 4 * pairs(n) }, func(n int) {
			s := shape(n)
			kernel.AttentionForward(p, ctx[:rows*heads*n], lse, qkv[:rows*heads*3*n], nil, s)
		}},
		{"attention backward", 24, widest, 1, func(n int) float64 { return 10 * pairs(n) }, func(n int) {
			s := shape(n)
			kernel.AttentionBackward(p, dqkv[:rows*heads*3*n], dctx[:rows*heads*n], ctx[:rows*heads*n], lse, qkv[:rows*heads*3*n], nil, s)
		}},
	}
}
