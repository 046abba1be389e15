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
