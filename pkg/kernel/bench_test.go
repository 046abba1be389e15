package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// noise is n values around 0.
func noise(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 1))
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// BenchmarkRows reports the memory traffic (each value read or written counts
// once) of the operations that work along rows, far beyond the caches.
func BenchmarkRows(b *testing.B) {
	const N, E = 4096, 1024
	const n = N * E
	x, y, z, w := noise(n), noise(n), noise(n), noise(2*n)
	row, gain, mean, rstd := make([]float32, E), noise(E), make([]float32, N), make([]float32, N)
	ids := make([]int32, N)
	for i := range ids {
		ids[i] = int32(i * 7 % N)
	}
	rope := AttnShape{B: 8, T: N / 8, G: 4, R: 2, QK: 64, VO: 64} // width 1024
	rot := Rotary{noise(N / 8 * 32), noise(N / 8 * 32), 32, false}
	adam := AdamWArgs{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, GradScale: 1, Step: 10}
	for _, c := range []struct {
		name   string
		values int
		run    func(p *Pool)
	}{
		{"add", 3 * n, func(p *Pool) { Add(p, y, x, z) }},
		{"embed", 2 * n, func(p *Pool) { EmbedForward(p, y, x, ids, E) }},
		{"embed-back", 3 * n, func(p *Pool) { EmbedBackward(p, y, x, ids, E) }},
		{"bias-grad", n, func(p *Pool) { BiasGrad(p, row, x, N, E) }},
		{"layernorm", 2 * n, func(p *Pool) { LayerNormForward(p, Rows{F32: y}, mean, rstd, x, gain, gain, N, E, 1e-5) }},
		{"layernorm-back", 3 * n, func(p *Pool) { LayerNormBackward(p, y, z, x, gain, mean, rstd, N, E) }},
		{"layernorm-grad", 2 * n, func(p *Pool) { LayerNormGrad(p, row, row, z, x, mean, rstd, N, E) }},
		{"rmsnorm", 2 * n, func(p *Pool) { RMSNormForward(p, Rows{F32: y}, rstd, x, gain, N, E, RMSNorm{}) }},
		{"rmsnorm-back", 3 * n, func(p *Pool) { RMSNormBackward(p, y, z, x, gain, rstd, N, E, RMSNorm{}) }},
		{"rmsnorm-grad", 2 * n, func(p *Pool) { RMSNormGrad(p, row, z, x, rstd, N, E) }},
		{"gelu-tanh", 2 * n, func(p *Pool) { GELUForward(p, Rows{F32: y}, Rows{F32: x}, n, true) }},
		{"gelu-tanh-back", 3 * n, func(p *Pool) { GELUBackward(p, Rows{F32: y}, z, Rows{F32: x}, true) }},
		{"gelu-erf", 2 * n, func(p *Pool) { GELUForward(p, Rows{F32: y}, Rows{F32: x}, n, false) }},
		{"gelu-erf-back", 3 * n, func(p *Pool) { GELUBackward(p, Rows{F32: y}, z, Rows{F32: x}, false) }},
		{"swiglu", 3 * n, func(p *Pool) { SwiGLUForward(p, Rows{F32: y}, Rows{F32: w}, N, E) }},
		{"swiglu-back", 5 * n, func(p *Pool) { SwiGLUBackward(p, Rows{F32: w}, z, Rows{F32: w}, N, E) }},
		{"rope", 2 * n, func(p *Pool) { RoPEForward(p, y, x, rot, rope, nil) }},
		{"rope-in-place", 2 * n, func(p *Pool) { RoPEForward(p, y, y, rot, rope, nil) }},
		{"gatedot", 2 * n, func(p *Pool) { GateDot(p, mean, Rows{F32: x}, z, 4, N/4, E, 0, E, 1) }},
		{"sumsquares", n, func(p *Pool) { SumSquares(p, x) }},
		{"adamw16", 5 * n, func(p *Pool) { AdamW16Step(p, y, x, z, 0, adam) }},
		{"adamw", 7 * n, func(p *Pool) { AdamWStep(p, y, x, z, w, adam) }},
	} {
		for _, path := range Paths()[max(0, len(Paths())-2):] {
			b.Run(fmt.Sprintf("%s/%s", c.name, path), func(b *testing.B) {
				was := CurrentPath()
				defer UsePath(was)
				UsePath(path)
				p := NewPool(0)
				defer p.Close()
				b.SetBytes(int64(4 * c.values))
				for b.Loop() {
					c.run(p)
				}
			})
		}
	}
}

// huge is memory as training has it, of huge pages where the system gives them.
func huge(b *testing.B, n int) []float32 {
	x := new([]float32)
	b.Cleanup(func() { release(x) })
	return grow(x, max(n, hugePage))[:n]
}

// BenchmarkAttention reports GFLOP/s of what a causal mask leaves to do: two
// products forward, five backward, over half of the scores; and what they are of the
// peak, the larger one of those measured right before and after.
func BenchmarkAttention(b *testing.B) {
	shapes := []AttnShape{
		{B: 1, T: 512, G: 12, R: 1, QK: 64, VO: 64},
		{B: 1, T: 1024, G: 8, R: 1, QK: 64, VO: 64},
		{B: 1, T: 1024, G: 2, R: 4, QK: 64, VO: 64},
	}
	for _, width := range []int{32, 37, 61, 64, 80, 128} {
		shapes = append(shapes, AttnShape{B: 4, T: 256, G: 8, R: 1, QK: width, VO: width})
	}
	for _, s := range shapes {
		s.Causal, s.Scale = true, 0.125
		qkv, dqkv, ctx := huge(b, s.B*s.T*s.Width()), huge(b, s.B*s.T*s.Width()), huge(b, s.B*s.T*s.G*s.R*s.VO)
		copy(qkv, noise(len(qkv)))
		lse := make([]float32, s.B*s.T*s.G*s.R)
		pairs := float64(s.B*s.G*s.R) * float64(s.T) * float64(s.T+1) / 2
		for _, back := range []bool{false, true} {
			flops, name := 2*pairs*float64(s.QK+s.VO), "forward"
			if back {
				flops, name = 2*pairs*float64(3*s.QK+2*s.VO), "backward"
			}
			b.Run(fmt.Sprintf("B=%d,T=%d,G=%d,R=%d,QK=%d,VO=%d/%s", s.B, s.T, s.G, s.R, s.QK, s.VO, name), func(b *testing.B) {
				p := NewPool(0)
				defer p.Close()
				AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
				before := PeakFLOPS(p, 0.05)
				for b.Loop() {
					if back {
						AttentionBackward(p, dqkv, ctx, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
					} else {
						AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
					}
				}
				rate := flops * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(rate/1e9, "GFLOP/s")
				b.ReportMetric(rate/max(before, PeakFLOPS(p, 0.05)), "of-peak")
			})
		}
	}
}

// BenchmarkDecode reports how fast one new token reads the cache.
func BenchmarkDecode(b *testing.B) {
	for _, s := range []AttnShape{
		{B: 1, T: 1, G: 8, R: 1, QK: 64, VO: 64},
		{B: 8, T: 1, G: 8, R: 1, QK: 64, VO: 64},
		{B: 1, T: 1, G: 8, R: 4, QK: 64, VO: 64},
		{B: 8, T: 1, G: 8, R: 1, QK: 37, VO: 61},
		{B: 1, T: 1, G: 1, R: 8, QK: 64, VO: 64},
	} {
		s.Causal, s.Scale = true, 0.125
		const capacity = 4096
		c := pagedCache{page: 64, each: capacity / 64}
		k, v := noise(s.B*s.G*capacity*s.QK), noise(s.B*s.G*capacity*s.VO)
		qkv, ctx := noise(s.B*s.Width()), make([]float32, s.B*s.G*s.R*s.VO)
		pos := make([]int32, s.B)
		for i := range pos {
			pos[i] = capacity - 1
		}
		b.Run(fmt.Sprintf("B=%d,G=%d,R=%d,QK=%d,VO=%d", s.B, s.G, s.R, s.QK, s.VO), func(b *testing.B) {
			p := NewPool(0)
			defer p.Close()
			b.SetBytes(int64(4 * (len(k) + len(v))))
			spans := c.spans(s, pos)
			for b.Loop() {
				PagedAttention(p, ctx, qkv, k, v, s, c.page, spans)
			}
		})
	}
}

// BenchmarkTexts reports how fast 16 texts of some length read their keys and values, which lie
// in memory: those of 8 layers, one after the other.
func BenchmarkTexts(b *testing.B) {
	s := AttnShape{B: 16, T: 1, G: 8, R: 1, QK: 64, VO: 64, Causal: true, Scale: 0.125}
	const layers, each = 8, 8
	c := pagedCache{page: 64, each: each}
	var k, v [layers][]float32
	for i := range k {
		for _, x := range []*[]float32{&k[i], &v[i]} {
			grow(x, s.B*s.G*each*c.page*s.QK)
			b.Cleanup(func() { release(x) })
			for j := 0; j < len(*x); j += 1024 {
				(*x)[j] = 1 // a page that was never written may be nowhere
			}
		}
	}
	qkv, ctx, pos := noise(s.B*s.Width()), make([]float32, s.B*s.G*s.R*s.VO), make([]int32, s.B)
	for _, tokens := range []int{72, 500} {
		for i := range pos {
			pos[i] = int32(tokens - 1)
		}
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			p := NewPool(0)
			defer p.Close()
			b.SetBytes(int64(4 * layers * s.B * tokens * s.G * (s.QK + s.VO)))
			spans := c.spans(s, pos)
			for b.Loop() {
				for i := range k {
					PagedAttention(p, ctx, qkv, k[i], v[i], s, c.page, spans)
				}
			}
		})
	}
}

// BenchmarkHeadLoss reports GFLOP/s of the three products of the head.
func BenchmarkHeadLoss(b *testing.B) {
	const N, E, V = 1024, 512, 32000
	x, w := noise(N*E), noise(V*E)
	dx, dw, nll := make([]float32, N*E), make([]float32, V*E), make([]float32, N)
	targets := make([]int32, N)
	for i := range targets {
		targets[i] = int32(i * 31 % V)
	}
	p := NewPool(0)
	defer p.Close()
	for b.Loop() {
		HeadLoss(p, HeadInput{X: x, W: w, Targets: targets, N: N, E: E, V: V}, HeadOptions{Scale: 1}, HeadOutput{NLL: nll, DX: dx, DW: dw})
	}
	b.ReportMetric(6*N*E*V*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
