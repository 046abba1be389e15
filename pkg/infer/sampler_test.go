package infer

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func draws(t *testing.T, c SamplerConfig, logits []float32, n int) map[int32]int {
	t.Helper()
	s, err := NewSampler(c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]int{}
	for range n {
		got[s.Next(logits)]++
	}
	return got
}

func TestSamplerFollowsTheDistribution(t *testing.T) {
	// Probabilities 1/2, 1/4, 1/8, 1/8.
	logits := []float32{float32(math.Log(1)), float32(math.Log(4)), float32(math.Log(2)), float32(math.Log(1))}
	want := []float64{0.125, 0.5, 0.25, 0.125}
	got := draws(t, SamplerConfig{Temperature: 1, TopP: 1, Seed: 3}, logits, 20000)
	for id, p := range want {
		// Four standard deviations of a binomial draw.
		if d := math.Abs(float64(got[int32(id)])/20000 - p); d > 4*math.Sqrt(p*(1-p)/20000) {
			t.Errorf("token %d drawn with frequency off by %g from %g", id, d, p)
		}
	}
}

func TestSamplerCuts(t *testing.T) {
	logits := []float32{0, 3, 2, 1}
	for name, tc := range map[string]struct {
		c    SamplerConfig
		only []int32
	}{
		"greedy": {SamplerConfig{Temperature: 0, TopP: 1}, []int32{1}},
		"top-k":  {SamplerConfig{Temperature: 1, TopK: 2, TopP: 1}, []int32{1, 2}},
		"top-p":  {SamplerConfig{Temperature: 1, TopP: 0.8}, []int32{1, 2}}, // 0.64 + 0.24
		"cold":   {SamplerConfig{Temperature: 0.01, TopP: 1}, []int32{1}},
	} {
		got := draws(t, tc.c, logits, 500)
		for _, id := range tc.only {
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("%s drew %v besides %v", name, got, tc.only)
		}
	}
}

func TestSamplerRefuses(t *testing.T) {
	for _, c := range []SamplerConfig{{Temperature: -1, TopP: 1}, {Temperature: math.NaN(), TopP: 1}, {Temperature: 1, TopP: 0}, {Temperature: 1, TopP: 2}, {Temperature: 1, TopK: -1, TopP: 1}} {
		if _, err := NewSampler(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
}

// sorted draws as Sampler does, from all tokens in order.
func sorted(c SamplerConfig, rng *rand.Rand, logits []float32) int32 {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	if c.TopK > 0 {
		order = order[:min(c.TopK, len(order))]
	}
	p := func(i int) float64 {
		return math.Exp(float64(logits[i])/c.Temperature - float64(logits[order[0]])/c.Temperature)
	}
	sum, mass := 0.0, 0.0
	for _, i := range order {
		sum += p(i)
	}
	for n, i := range order {
		if mass += p(i); c.TopP < 1 && mass >= c.TopP*sum {
			order, sum = order[:n+1], mass
			break
		}
	}
	x := rng.Float64() * sum
	for _, i := range order {
		if x -= p(i); x < 0 {
			return int32(i)
		}
	}
	return int32(order[len(order)-1])
}

// Sorting only what a draw needs gives the tokens that sorting everything gives.
func TestSamplerEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, spread := range []float64{0, 0.1, 3, 30} {
		for _, c := range []SamplerConfig{{TopP: 1}, {TopP: 0.95}, {TopP: 0.01}, {TopP: 1, TopK: 40}, {TopP: 0.9, TopK: 400}, {TopP: 0.5, TopK: 5000}} {
			for _, c.Temperature = range []float64{0.2, 1, 2} {
				c.Seed = r.Uint64()
				s, err := NewSampler(c)
				if err != nil {
					t.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15))
				logits := make([]float32, 1000)
				for range 20 {
					for i := range logits {
						logits[i] = float32(spread * r.NormFloat64())
					}
					logits[r.IntN(1000)] = float32(math.Inf(-1))
					if got, want := s.Next(logits), sorted(c, rng, logits); got != want {
						t.Fatalf("%+v, logits of spread %g: %d, expected %d", c, spread, got, want)
					}
				}
			}
		}
	}
}

// A draw from a vocabulary of 32 thousand, as models have.
func BenchmarkSampler(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	logits := make([]float32, 32000)
	for i := range logits {
		logits[i] = float32(3 * r.NormFloat64())
	}
	for name, c := range map[string]SamplerConfig{"greedy": {TopP: 1}, "all": {Temperature: 1, TopP: 1}, "top-p": {Temperature: 0.8, TopP: 0.95}} {
		b.Run(name, func(b *testing.B) {
			s, err := NewSampler(c)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s.Next(logits)
			}
		})
	}
}
