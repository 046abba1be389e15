package graph

import (
	"fmt"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// BenchmarkStep runs forward and backward pass of a graph like llama-60m's
// (8 layers, E 512, 8 heads, F 1376, V 32000, tied here) at B 4, T 256, for each
// level of recomputation: time, planned memory, and the time of each kind of step.
func BenchmarkStep(b *testing.B) {
	m := (&toy{style: "llllllll", b: 4, t: 256, v: 32000, g: 8, r: 1, qk: 32, vo: 64, f: 1376, e: 512}).init(b)
	pool := kernel.NewPool(0)
	defer pool.Close()
	grads := m.set.NewSlab()
	for r := KeepAll; r <= RecomputeLayer; r++ {
		b.Run(fmt.Sprintf("recompute%d", r), func(b *testing.B) {
			mc := lowered(b, m.build(true), LowerOptions{Pool: pool, Grads: grads, Taps: true, Recompute: r})
			m.feed(b, mc)
			ok(b, mc.RunAll())
			b.ResetTimer()
			for range b.N {
				ok(b, mc.RunAll())
			}
			b.ReportMetric(float64(mc.Plan().FLOPs())*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			b.ReportMetric(float64(mc.Plan().ArenaBytes())/1e6, "MB")
		})
	}
}
