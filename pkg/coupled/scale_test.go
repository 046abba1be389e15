package coupled

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// BenchmarkPlanOfABillion divides a budget over a model of 1.3 billion parameters
// (24 layers, 131 thousand hidden channels) without its weights.
func BenchmarkPlanOfABillion(b *testing.B) {
	z := sizes{layers: 24, kv: 32, r: 1, qk: 32, vo: 64, ffn: 5461, embed: 2048, rope: true, gated: true}
	set, err := param.Layout(z.specs())
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range []string{"uniform", "global"} {
		b.Run(a, func(b *testing.B) {
			c := configOf(func(c *Config) { c.Criterion, c.Allocation, c.Target = "random", a, "0.5x" })
			goal, err := c.Goal(set, nil)
			if err != nil {
				b.Fatal(err)
			}
			for range b.N {
				if _, err := MakePlan(Request{Set: set, Config: c, Budget: goal.At(1)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompensate refits one feed-forward matrix of llama-60m (1376 hidden
// channels, width 512) of which half the channels go: once a measurement of sensitivity.
func BenchmarkCompensate(b *testing.B) {
	z := sizes{layers: 1, kv: 1, r: 1, qk: 1, vo: 1, ffn: 1376, embed: 512, rope: true, gated: true}
	set := z.set(b)
	e := NewEvidence(set, Options{Compensation: true})
	m := e.sites[0].ffn
	m.weight = 1
	for i := range m.sum {
		for j := range m.sum {
			m.gram[0][i*len(m.sum)+j] = 0.01 * float32((i*j)%3)
		}
		m.gram[0][i*len(m.sum)+i] = 100 + float32(i%7)
	}
	var kept []int
	for i := 0; i < z.ffn; i += 2 {
		kept = append(kept, i)
	}
	for range b.N {
		if err := Compensate(set, e, param.Cut{"layer.0.ffn": {kept}}, CompensateLSQ, 0); err != nil {
			b.Fatal(err)
		}
	}
}
