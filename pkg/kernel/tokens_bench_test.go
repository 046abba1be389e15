package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkTokens makes all products with weights of a step of llama-60m (8 layers, widths
// 512 and 1376, 32,000 ids), each with weights of its own, for some tokens at once. One
// token waits for memory, many for arithmetic: so many times more tokens a second as
// "tokens/s" grows, and no more, can a server give to many clients at once. Weights of Q8 are
// multiplied as whole numbers where they can be.
func BenchmarkTokens(b *testing.B) {
	type product struct {
		rows, cols int // of the weights
		trans      bool
		w          Weights
	}
	layer := []product{{rows: 1536, cols: 512, trans: true}, {rows: 512, cols: 512}, {rows: 2752, cols: 512, trans: true}, {rows: 1376, cols: 512}}
	for _, kind := range []string{"f32", "bf16", "q8"} {
		var all []product
		weights := 0
		add := func(p product) {
			x := noise(p.rows * p.cols)
			switch kind {
			case "f32":
				p.w.F32 = x
			case "bf16":
				p.w.BF16 = make([]uint16, len(x))
				ToBF16(p.w.BF16, x)
			default:
				p.w.Q8 = make([]byte, len(x)/Q8Block*Q8Bytes)
				ToQ8(p.w.Q8, x)
			}
			all, weights = append(all, p), weights+len(x)
		}
		for range 8 {
			for _, p := range layer {
				add(p)
			}
		}
		add(product{rows: 32000, cols: 512, trans: true})
		for _, m := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
			b.Run(fmt.Sprintf("%s/tokens=%d", kind, m), func(b *testing.B) {
				p := NewPool(0)
				defer p.Close()
				x, y := noise(m*2752), make([]float32, m*32000)
				for b.Loop() {
					for _, q := range all {
						in, out := q.cols, q.rows
						if !q.trans {
							in, out = out, in
						}
						MatMulWeights(p, Mat(y[:m*out], m, out), Mat(x[:m*in], m, in), q.w, q.rows, q.cols, Product{TransB: q.trans, Int8: true})
					}
				}
				s := b.Elapsed().Seconds() / float64(b.N)
				b.ReportMetric(float64(m)/s, "tokens/s")
				b.ReportMetric(2*float64(m*weights)/s/1e9, "GFLOP/s")
				b.ReportMetric(float64(all[0].w.Bytes(weights))/s/1e9, "GB/s")
			})
		}
	}
}
