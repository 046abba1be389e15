package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
)

func draw(t *testing.T, src Source, o SampleOptions) (out []Sampled) {
	t.Helper()
	err := Sample(context.Background(), src, o, func(s Sampled) error {
		if s.Number != o.First+len(out) {
			t.Fatalf("text %d came as number %d", s.Number, len(out))
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSampleResumes draws the same texts at once, in two parts and one at a time.
func TestSampleResumes(t *testing.T) {
	src := small(t, "llama", 32)
	o := SampleOptions{Count: 40, Begin: [][]int32{{1}, {2, 3}}, Ends: []int32{7}, Sampler: SamplerConfig{Temperature: 1, TopP: 1, Seed: 5}}
	all := draw(t, src, o)
	if len(all) != 40 {
		t.Fatalf("%d texts, expected 40", len(all))
	}
	ended, lengths := 0, map[int]bool{}
	for i, s := range all {
		if !slices.Equal(s.IDs[:len(o.Begin[i%2])], o.Begin[i%2]) {
			t.Errorf("text %d begins with %v", i, s.IDs)
		}
		if at := slices.Index(s.IDs[len(o.Begin[i%2]):], 7); s.Ended != (at >= 0) || s.Ended && s.IDs[len(s.IDs)-1] != 7 || !s.Ended && len(s.IDs) != 32 {
			t.Errorf("text %d is %v, ended %t", i, s.IDs, s.Ended)
		}
		if s.Ended {
			ended++
		}
		lengths[len(s.IDs)] = true
	}
	if ended == 0 || len(lengths) < 3 {
		t.Errorf("%d texts ended, of %d lengths: the test shows nothing", ended, len(lengths))
	}
	rest := o
	rest.First, rest.Count = 17, 23
	one := o
	one.Scheduler.MaxBatch = 1
	for name, got := range map[string][]Sampled{"from 17 on": draw(t, src, rest), "one at a time": draw(t, src, one)} {
		if want := all[len(all)-len(got):]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s the texts are others", name)
		}
	}
	o.Sampler.Seed++
	if fmt.Sprint(draw(t, src, o)) == fmt.Sprint(all) {
		t.Error("another seed draws the same texts")
	}
}

// TestSampleDrawsTheModel counts first tokens against the model's own probabilities.
func TestSampleDrawsTheModel(t *testing.T) {
	src := small(t, "gpt2", 8)
	const n = 4000
	counts := make([]float64, 29)
	o := SampleOptions{Count: n, Tokens: 2, Begin: [][]int32{{4}}, Sampler: SamplerConfig{Temperature: 1, TopP: 1, Seed: 1}}
	for _, s := range draw(t, src, o) {
		counts[s.IDs[1]]++
	}
	logits := whole(t, src, []int32{4}, graph.BuildOptions{})
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l))
	}
	for id, c := range counts {
		p := math.Exp(float64(logits[id])) / sum
		if sd := math.Sqrt(n * p * (1 - p)); math.Abs(c-n*p) > 5*sd+1 { // five deviations: one test in 60,000 fails by chance
			t.Errorf("token %d came %.0f times of %d, expected %.0f ± %.0f", id, c, n, n*p, sd)
		}
	}
}

func TestSampleRefuses(t *testing.T) {
	src := small(t, "llama", 16)
	good := SampleOptions{Count: 1, Begin: [][]int32{{1}}, Sampler: SamplerConfig{Temperature: 1, TopP: 1}}
	for want, change := range map[string]func(o *SampleOptions){
		"beginning of at least one": func(o *SampleOptions) { o.Begin = nil },
		"the prompt has no tokens":  func(o *SampleOptions) { o.Begin = [][]int32{{}} },
		"context is 16":             func(o *SampleOptions) { o.Tokens = 17 },
		"begin with 2":              func(o *SampleOptions) { o.Tokens, o.Begin = 2, [][]int32{{1, 2}} },
		"outside the vocabulary":    func(o *SampleOptions) { o.Begin = [][]int32{{29}} },
		"temperature is -1":         func(o *SampleOptions) { o.Sampler.Temperature = -1 },
		"from text -1":              func(o *SampleOptions) { o.First = -1 },
	} {
		o := good
		change(&o)
		if err := Sample(context.Background(), src, o, func(Sampled) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	broken := errors.New("the disk is full")
	if err := Sample(context.Background(), src, good, func(Sampled) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Sample(ctx, src, good, func(Sampled) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
