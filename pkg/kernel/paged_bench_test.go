package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkPagedAttention decodes a token of 16 texts in the 8 layers of llama-60m (8 heads of 64 values): every
// layer has keys and values of its own, so that they come from memory.
func BenchmarkPagedAttention(b *testing.B) {
	const layers, page, texts, pages = 8, 64, 16, 3
	s := AttnShape{B: texts, T: 1, G: 8, R: 1, QK: 64, VO: 64, Scale: 0.125, Causal: true}
	var kv [2 * layers][]float32
	for i := range kv {
		size := texts * pages * page * s.G * s.QK
		kv[i] = mapHuge(ceil(size, hugePage) * hugePage)
		defer unmapHuge(kv[i])
		for j := range kv[i] {
			kv[i][j] = float32(j%7) * 0.1
		}
	}
	qkv, ctx := noise(texts*s.Width()), make([]float32, texts*s.G*s.VO)
	for _, tokens := range []int{63, 131} {
		var spans []Span
		for i := range texts {
			sp := Span{Row: i, N: 1, Pos: tokens - 1}
			for j := range pages {
				sp.Pages = append(sp.Pages, int32(j*texts+i))
			}
			spans = append(spans, sp)
		}
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			p := NewPool(0)
			defer p.Close()
			for b.Loop() {
				for l := range layers {
					PagedAttention(p, ctx, qkv, kv[2*l], kv[2*l+1], s, page, spans)
				}
			}
			b.ReportMetric(float64(b.N*layers*texts*tokens*s.G*(s.QK+s.VO)*4)/b.Elapsed().Seconds()/1e9, "GB/s")
		})
	}
}
