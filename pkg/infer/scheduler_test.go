package infer

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// small is a pruned model of a family with weights large enough that its
// predictions differ from each other.
func small(t testing.TB, family string, context int) Source {
	s := model.Sizes{Family: family, Layers: 2, Width: 24, Heads: 4, HeadDim: 6, FFN: 20, Vocab: 29, Context: context}
	if family == "llama" {
		s.KVHeads = 2
	}
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(3)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 8
	}
	keep := param.Keep{{0, 2}, {1, 2}, {0, 1}, {1, 2}}[:set.Dim("layer.0.kv").Size]
	if err := set.Shrink(param.Cut{"layer.0.qk": keep, "layer.1.vo": keep}); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	t.Cleanup(func() { pool.Close(); set.Weights.Close() })
	return Source{Model: m.(model.Decoder), Set: set, Pool: pool}
}

func schedule(t testing.TB, src Source, o SchedulerOptions) *Scheduler {
	s, err := NewScheduler(src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// whole is the logits after each of ids, by one pass over all of them without a cache.
func whole(t testing.TB, src Source, ids []int32, o graph.BuildOptions) []float32 {
	b := graph.NewBuilder(src.Set, o)
	src.Model.Decode(b, 1, len(ids), true)
	mc, err := b.Lower(graph.LowerOptions{Pool: src.Pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{mc.SetInts("ids", ids), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return slices.Clone(mc.Output("logits"))
}

func collect(s *Stream) (ids []int32, tokens []Token, reason Reason, err error) {
	for {
		t, ok := s.Next()
		if !ok {
			reason, err = s.Result()
			return ids, tokens, reason, err
		}
		ids, tokens = append(ids, t.ID), append(tokens, t)
	}
}

func texts(n int, longest int, seed uint64) [][]int32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([][]int32, n)
	for i := range out {
		out[i] = make([]int32, 1+rng.IntN(longest))
		for j := range out[i] {
			out[i][j] = int32(rng.IntN(29))
		}
		if i%3 == 2 { // the beginning of another, and a different end
			k := rng.IntN(len(out[i-1])) + 1
			out[i] = append(append([]int32{}, out[i-1][:k]...), out[i][:min(len(out[i]), longest+1-k)]...)
		}
	}
	return out
}

// TestSchedulerEqualsWholePass: many requests at once, with beginnings in common, in
// an arena too small for all of them, get what each would get alone.
func TestSchedulerEqualsWholePass(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		src := small(t, family, 300)
		prompts := texts(30, 200, 5)
		s := schedule(t, src, SchedulerOptions{MaxBatch: 8, Chunk: 24, KVBytes: 14 * pageBytes(src)})
		var wg sync.WaitGroup
		for i, p := range prompts {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for _, echo := range []bool{i%2 == 0, i%2 == 1, true} {
					n := 1 + i%20
					st, err := s.Submit(context.Background(), Request{Prompt: p, MaxTokens: n, Sampler: SamplerConfig{TopP: 1}, Echo: echo, Logprobs: true, Top: i % 3})
					if err != nil {
						t.Error(err)
						return
					}
					_, tokens, reason, err := collect(st)
					want := n
					if echo {
						want += len(p)
					}
					if err != nil || reason != Exhausted || len(tokens) != want {
						t.Errorf("%s: request %d: %d tokens, %q, %v, expected %d", family, i, len(tokens), reason, err, want)
						return
					}
					check(t, src, p, tokens)
				}
			}()
		}
		wg.Wait()
		st := s.Stats()
		if st.ReusedTokens == 0 || st.FreePages != st.Pages || st.Running != 0 {
			t.Errorf("%s: %+v: expected reused tokens, and all pages free", family, st)
		}
	}
}

var refMu sync.Mutex // a pass uses the pool alone

// check compares greedy tokens that follow a prompt, and those of the prompt where they
// are there, with one pass over all of them.
func check(t *testing.T, src Source, prompt []int32, tokens []Token) {
	refMu.Lock()
	defer refMu.Unlock()
	src.Pool = kernel.NewPool(1)
	defer src.Pool.Close()
	ids := slices.Clone(prompt)
	for _, tok := range tokens {
		if !tok.Prompt {
			ids = append(ids, tok.ID)
		}
	}
	logits, v := whole(t, src, ids, graph.BuildOptions{}), src.Model.Vocab()
	for i, tok := range tokens {
		at := len(ids) - len(tokens) + i
		if at == 0 {
			continue
		}
		row := logits[(at-1)*v:][:v]
		if best := int32(kernel.Argmax(row)); tok.ID != ids[at] || !tok.Prompt && tok.ID != best {
			t.Errorf("token %d is %d, expected %d of the text and %d as the most likely", at, tok.ID, ids[at], best)
			return
		}
		// sums in another order, through weights that make much of it
		if want := scoreOf(row, tok.ID, 0).logprob; !(math.Abs(float64(tok.Logprob-want)) < 2e-3) {
			t.Errorf("token %d: log-probability %g, expected %g", at, tok.Logprob, want)
			return
		}
	}
}

// TestSchedulerBF16: products of bfloat16 are those of a pass without a cache, but that a
// last bit may round an activation to the next bfloat16.
func TestSchedulerBF16(t *testing.T) {
	src, prompt := small(t, "llama", 60), texts(1, 50, 3)[0]
	s := schedule(t, src, SchedulerOptions{BF16: true})
	st, err := s.Submit(context.Background(), Request{Prompt: prompt, Sampler: SamplerConfig{TopP: 1}, Echo: true})
	if err != nil {
		t.Fatal(err)
	}
	_, tokens, _, err := collect(st)
	if err != nil {
		t.Fatal(err)
	}
	src.Pool = kernel.NewPool(1)
	defer src.Pool.Close()
	rounded, exact := whole(t, src, prompt, graph.BuildOptions{BF16: true}), whole(t, src, prompt, graph.BuildOptions{})
	off, far := 0.0, 0.0
	for i, tok := range tokens[1:] {
		row, other := rounded[i*29:][:29], exact[i*29:][:29]
		off = max(off, math.Abs(float64(tok.Logprob-scoreOf(row, tok.ID, 0).logprob)))
		far = max(far, math.Abs(float64(tok.Logprob-scoreOf(other, tok.ID, 0).logprob)))
	}
	if off > 0.1 || far < 1e-4 {
		t.Errorf("log-probabilities are up to %g off those of a pass in bfloat16, %g off those in float32", off, far)
	}
}

// TestQ8SameBitsInABatch: with weights of Q8 a text gets the same bits by itself and
// among 21 others, its prompt and what is written.
func TestQ8SameBitsInABatch(t *testing.T) {
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 64, Heads: 4, KVHeads: 2, HeadDim: 16, FFN: 96, Vocab: 50, Context: 24})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(3)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 8
	}
	if err := set.StoreAll(param.Q8); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	var alone []Token
	for _, others := range []int{0, 21} {
		s := schedule(t, Source{Model: m.(model.Decoder), Set: set, Pool: pool}, SchedulerOptions{Int8: true})
		var last *Stream
		for i := others; i >= 0; i-- {
			prompt := []int32{int32(7*i+1) % 50, 3, 1, 4, int32(i)}
			if last, err = s.Submit(context.Background(), Request{Prompt: prompt, MaxTokens: 10, Sampler: SamplerConfig{TopP: 1}, Echo: true, Logprobs: true, Top: 20}); err != nil {
				t.Fatal(err)
			}
		}
		_, got, _, err := collect(last)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if alone == nil {
			alone = got
		}
		for i, tok := range got[1:] {
			if want := alone[i+1]; tok.ID != want.ID || tok.Logprob != want.Logprob || !slices.Equal(tok.Top, want.Top) {
				t.Fatalf("among %d others token %d is %+v, by itself %+v", others, i+1, tok, want)
			}
		}
	}
}

func pageBytes(src Source) (n int64) {
	for _, w := range src.Model.Cache(src.Set) {
		n += 4 * PageTokens * int64(w[0]+w[1])
	}
	return n
}

// TestSchedulerBeside: beside 15 others a request gets the tokens that it gets
// alone. The bits of log-probabilities may differ: a product of few rows adds up in
// another order than one of many (kernel.MatMul), which is worth up to about 1e-6 of a
// logit's size; here, with weights made eight times as large, 1e-4 nats.
func TestSchedulerBeside(t *testing.T) {
	src := small(t, "llama", 200)
	prompts := texts(16, 60, 9)
	run := func(which []int) []Token {
		s := schedule(t, src, SchedulerOptions{})
		defer s.Close()
		var first *Stream
		for _, i := range which {
			st, err := s.Submit(context.Background(), Request{Prompt: prompts[i], MaxTokens: 40, Sampler: SamplerConfig{TopP: 1}, Logprobs: true})
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = st
			}
		}
		_, tokens, _, err := collect(first)
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	}
	alone := run([]int{0})
	beside := run([]int{3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for i := range alone {
		if d := alone[i].Logprob - beside[i].Logprob; alone[i].ID != beside[i].ID || d > 1e-4 || d < -1e-4 {
			t.Fatalf("token %d: %d (%v) alone, %d (%v) beside 15 others", i, alone[i].ID, alone[i].Logprob, beside[i].ID, beside[i].Logprob)
		}
	}
}

func TestSchedulerRefuses(t *testing.T) {
	src := small(t, "gpt2", 100)
	s := schedule(t, src, SchedulerOptions{Queue: 2, KVBytes: 2 * pageBytes(src), MaxBatch: 1})
	ok := Request{Prompt: []int32{1}, MaxTokens: 90, Sampler: SamplerConfig{TopP: 1}}
	for name, r := range map[string]Request{
		"no prompt": {MaxTokens: 1}, "no tokens": {Prompt: ok.Prompt}, "id": {Prompt: []int32{29}, MaxTokens: 1},
		"too long": {Prompt: ok.Prompt, MaxTokens: 100}, "top": {Prompt: ok.Prompt, MaxTokens: 1, Top: 21},
	} {
		r.Sampler = ok.Sampler
		if _, err := s.Submit(context.Background(), r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	var streams []*Stream
	var err error
	for range 64 { // one runs, two wait; how many have run by then is the machine's affair
		var st *Stream
		if st, err = s.Submit(context.Background(), ok); err != nil {
			break
		}
		streams = append(streams, st)
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("64 requests at once: %v, expected a full queue", err)
	}
	for _, st := range streams {
		st.Cancel()
		if _, _, _, err := collect(st); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for range 100 {
		if st := s.Stats(); st.Running == 0 && st.FreePages == st.Pages {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%+v: cancelled requests left something", s.Stats())
}

func TestSchedulerStops(t *testing.T) {
	src := small(t, "gpt2", 100)
	s := schedule(t, src, SchedulerOptions{})
	prompt := []int32{3, 1, 4}
	greedy := Request{Prompt: prompt, MaxTokens: 10, Sampler: SamplerConfig{TopP: 1}}
	st, err := s.Submit(context.Background(), greedy)
	if err != nil {
		t.Fatal(err)
	}
	ids, _, _, err := collect(st)
	if err != nil {
		t.Fatal(err)
	}
	end := ids[len(ids)-4]
	st, err = s.Submit(context.Background(), Request{Prompt: prompt, MaxTokens: 50, Sampler: SamplerConfig{TopP: 1}, Stop: []int32{end}})
	if err != nil {
		t.Fatal(err)
	}
	got, _, reason, err := collect(st)
	if err != nil || reason != Stopped || got[len(got)-1] != end {
		t.Errorf("%v, %q, %v: expected to stop at %d", got, reason, err, end)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if st, err = s.Submit(ctx, Request{Prompt: prompt, MaxTokens: 5, Sampler: SamplerConfig{TopP: 1}}); err == nil {
		_, _, _, err = collect(st)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up before it began: %v", err)
	}
}

// Of the rows for prompts half go to who came first, the rest to the shortest.
func TestReaders(t *testing.T) {
	q := func(prompt, done int) *sequence {
		return &sequence{Request: Request{Prompt: make([]int32, prompt)}, done: done}
	}
	long, middle, short := q(1000, 300), q(50, 0), q(20, 10)
	for rows, want := range map[int][3]int{100: {50, 40, 10}, 200: {140, 50, 10}, 12: {6, 0, 6}, 0: {}} {
		given := readers([]*sequence{long, middle, short}, rows)
		if got := [3]int{given[long], given[middle], given[short]}; got != want {
			t.Errorf("%d rows are shared as %v, expected %v", rows, got, want)
		}
	}
}
