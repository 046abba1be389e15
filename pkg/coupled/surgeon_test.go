package coupled

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// randomGram is G = X^T X of features that are correlated.
func randomGram(pairs int, seed uint64) []float32 {
	n := 2 * pairs
	rng := rand.New(rand.NewPCG(seed, 5))
	x := make([]float32, 50*n)
	for r := range 50 {
		shared := rng.NormFloat64()
		for i := range n {
			x[r*n+i] = float32((rng.NormFloat64() + shared*float64(i%3)) * float64(1+i%4))
		}
	}
	g := make([]float32, n*n)
	addProduct(g, n, x, 50, n)
	return g
}

// refitted is the squared error of the scores with the kept pairs' gains fitted,
// straight from the definition: coefficients by FitGains' own solver.
func refitted(t *testing.T, g []float32, pairs int, kept []int) float64 {
	a, b, err := gains(g, pairs, kept, 1e-9)
	if err != nil {
		t.Fatal(err)
	}
	n := 2 * pairs
	d := make([]float64, n) // dense scores minus the fit, as coefficients of the features
	for j := range pairs {
		d[2*j] = 1
	}
	for i, j := range kept {
		d[2*j] -= a[i]
		d[2*j+1] -= b[i]
	}
	sum := 0.0
	for i := range n {
		for j := range n {
			sum += d[i] * float64(g[i*n+j]) * d[j]
		}
	}
	return sum
}

// TestSurgeonTakesTheLeast: every turn drops the pair whose loss, with the gains
// of the rest fitted afresh, raises the error least.
func TestSurgeonTakesTheLeast(t *testing.T) {
	const pairs = 5
	for seed := range uint64(10) {
		grams := [][]float32{randomGram(pairs, seed), randomGram(pairs, seed+50)}
		order, err := byAttention(grams, pairs, 1e-9)
		if err != nil {
			t.Fatal(err)
		}
		left := upTo(pairs)
		without := func(j int) (kept []int) {
			for _, u := range left {
				if u != j {
					kept = append(kept, u)
				}
			}
			return kept
		}
		for turn, got := range order[:pairs-1] {
			best, least := -1, math.Inf(1)
			for _, j := range left {
				e := 0.0
				for _, g := range grams {
					e += refitted(t, g, pairs, without(j))
				}
				if e < least {
					best, least = j, e
				}
			}
			if got != best {
				t.Errorf("seed %d turn %d drops pair %d, expected %d", seed, turn, got, best)
			}
			left = without(got)
		}
	}
}

// TestSurgeonLeavesOthersToTheirScores: units without rotation go by score.
func TestSurgeonLeavesOthersToTheirScores(t *testing.T) {
	set := gpt.set(t)
	cut := func(qkOrder string) string {
		plan, err := MakePlan(Request{
			Set: set, Evidence: seen(t, set, Options{}, 2, 1), Budget: Budget{Params: set.Count() * 9 / 10},
			Config: configOf(func(c *Config) { c.QKOrder = qkOrder }),
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(plan.Cut())
	}
	if a, b := cut(OrderAttention), cut(OrderScore); a != b || a == fmt.Sprint(param.Cut{}) {
		t.Errorf("without RoPE attention cuts %s, score %s", a, b)
	}
}
