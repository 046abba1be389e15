package infer

import (
	"math"
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
