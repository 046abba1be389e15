package infer

import (
	"math"
	"os"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestLongTextsTurnByTheirOwnFactors: texts of a scheduler turn by the factors that one pass
// over as many tokens turns by, also where a short one and a long one begin alike, or run
// beside each other.
func TestLongTextsTurnByTheirOwnFactors(t *testing.T) {
	root, err := os.OpenRoot("../../testdata/golden/phi3-longrope")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m, set, err := model.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	t.Cleanup(func() { pool.Close(); set.Close() })
	src, own := Source{Model: m.(model.Decoder), Set: set, Pool: pool}, Source{Model: m.(model.Decoder), Set: set, Pool: kernel.NewPool(1)}
	t.Cleanup(own.Pool.Close)
	if n := model.LongAfter(m); n != 3 {
		t.Fatalf("texts of more than %d tokens are long, expected 3", n)
	}
	s := schedule(t, src, SchedulerOptions{})
	text := []int32{5, 3, 11, 7, 2, 17, 1}
	var streams []*Stream
	lengths := []int{2, 7, 3, 4, 3, 7}
	for _, n := range lengths {
		stream, err := s.Submit(t.Context(), Request{Prompt: text[:n], Echo: true, Logprobs: true, Sampler: SamplerConfig{TopP: 1}})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	differ := false
	for i, n := range lengths {
		_, tokens, _, err := collect(streams[i])
		if err != nil || len(tokens) != n {
			t.Fatalf("%d tokens: %d of them, %v", n, len(tokens), err)
		}
		want, short := onePass(t, own, text[:n]), onePass(t, own, text[:min(n, 3)])
		for k := 1; k < n; k++ {
			if d := math.Abs(float64(tokens[k].Logprob) - want[k]); d > 1e-4 {
				t.Errorf("%d tokens: token %d has log-probability %g, one pass gives %g", n, k, tokens[k].Logprob, want[k])
			}
			differ = differ || n > 3 && k < 3 && math.Abs(want[k]-short[k]) > 1e-3
		}
	}
	if !differ {
		t.Error("the factors of long texts make no difference")
	}
}

// onePass is the log-probability of every token but the first, by one pass over the text.
func onePass(t *testing.T, src Source, text []int32) []float64 {
	b := graph.NewBuilder(src.Set, graph.BuildOptions{})
	src.Model.Decode(b, 1, len(text), true)
	mc, err := b.Lower(graph.LowerOptions{Pool: src.Pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{mc.SetInts("ids", text), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	v, out := src.Model.Vocab(), make([]float64, len(text))
	for k := 1; k < len(text); k++ {
		row, sum := mc.Output("logits")[(k-1)*v:][:v], 0.0
		for _, x := range row {
			sum += math.Exp(float64(x))
		}
		out[k] = float64(row[text[k]]) - math.Log(sum)
	}
	return out
}
