package kernel

import (
	"math"
	"testing"
	"time"
)

// stairs is a kernel whose width grows by unit from lo to hi.
type stairs struct {
	name         string
	lo, hi, unit int
	flops        func(width int) float64
	run          func(width int)
}

// BenchmarkStaircase times kernels against width, as pruning makes them: the three
// products of a layer for a feed-forward width of some hundreds, and attention for
// every head width. All widths are timed in turn, b.N times over, and the least time of
// each counts, so that what else the machine does falls on all. It reports the worst
// step: how much more a column takes than one of the width before, in percent, and the
// width.
func BenchmarkStaircase(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	for _, k := range staircases(p) {
		b.Run(k.name, func(b *testing.B) {
			least := make([]float64, (k.hi-k.lo)/k.unit+1)
			for i := range least {
				least[i] = math.Inf(1)
			}
			for round := range b.N + 1 { // the first touches memory
				for i := range least {
					start := time.Now()
					k.run(k.lo + i*k.unit)
					if ms := time.Since(start).Seconds() * 1e3; round > 0 {
						least[i] = min(least[i], ms)
					}
				}
			}
			worst, at := -1.0, 0
			for i := 1; i < len(least); i++ {
				w := k.lo + i*k.unit
				if step := least[i]/k.flops(w)/(least[i-1]/k.flops(w-k.unit)) - 1; step > worst {
					worst, at = step, w
				}
			}
			b.ReportMetric(100*worst, "worst-step-%")
			b.ReportMetric(float64(at), "at-width")
		})
	}
}

func staircases(p *Pool) []stairs {
	const rows, e, hi = 1024, 512, 768
	x, y, w := noise(rows*e), make([]float32, rows*hi), noise(hi*e)
	h, dw := noise(rows*hi), make([]float32, hi*e)
	product := func(width int) float64 { return 2 * rows * e * float64(width) }
	const heads, length, widest = 8, 256, 72
	qkv, dqkv := noise(rows*heads*3*widest), make([]float32, rows*heads*3*widest)
	ctx, dctx, lse := make([]float32, rows*heads*widest), noise(rows*heads*widest), make([]float32, rows*heads)
	shape := func(width int) AttnShape {
		return AttnShape{B: rows / length, T: length, G: heads, R: 1, QK: width, VO: width, Scale: 0.1, Causal: true}
	}
	pairs := func(width int) float64 {
		return rows / length * heads * float64(length) * float64(length+1) / 2 * float64(width)
	}
	return []stairs{
		{"forward", 352, hi, 8, product, func(n int) {
			MatMul(p, Mat(y[:rows*n], rows, n), Mat(x, rows, e), Mat(w[:n*e], n, e), Product{TransB: true})
		}},
		{"input-gradient", 352, hi, 8, product, func(n int) {
			MatMul(p, Mat(x, rows, e), Mat(h[:rows*n], rows, n), Mat(w[:n*e], n, e), Product{})
		}},
		{"weight-gradient", 352, hi, 8, product, func(n int) {
			MatMul(p, Mat(dw[:n*e], n, e), Mat(h[:rows*n], rows, n), Mat(x, rows, e), Product{TransA: true})
		}},
		{"attention", 24, widest, 1, func(n int) float64 { return 4 * pairs(n) }, func(n int) {
			s := shape(n)
			AttentionForward(p, Rows{F32: ctx[:rows*heads*n]}, lse, Rows{F32: qkv[:rows*heads*3*n]}, nil, s)
		}},
		{"attention-backward", 24, widest, 1, func(n int) float64 { return 10 * pairs(n) }, func(n int) {
			s := shape(n)
			AttentionBackward(p, dqkv[:rows*heads*3*n], dctx[:rows*heads*n], Rows{F32: ctx[:rows*heads*n]}, lse, Rows{F32: qkv[:rows*heads*3*n]}, nil, s)
		}},
	}
}
