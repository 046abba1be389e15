package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// rounds is how often speed is timed; the best counts, since other work on the
// machine only ever slows it down.
const rounds = 7

// speed times a run's model on so many threads; 0 is one a core.
func (c *PaperCell) speed(dir string, threads int) error {
	l, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	c.Figures["prunable"] = float64(coupled.Prunable(l.Set))
	pool := kernel.NewPool(threads)
	defer pool.Close()
	if m, ok := l.Model.(model.Classifier); ok {
		return c.classify(l, m, pool)
	}
	return c.feed(l, pool, dir)
}

// classify times images, 64 at once.
func (c *PaperCell) classify(l *bundle.Bundle, m model.Classifier, pool *kernel.Pool) error {
	const n = 64
	b := graph.NewBuilder(l.Set, graph.BuildOptions{})
	m.Decode(b, n, m.Context(), true)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return err
	}
	defer mc.Close()
	if err := bench.NewNoise(m, n, m.Context()).Batch().FeedInputs(mc); err != nil {
		return err
	}
	var best float64
	for range rounds {
		ms, err := bench.Timed(3, mc.RunAll)
		if err != nil {
			return err
		}
		best = max(best, n/ms*1e3)
	}
	c.Figures["images"] = best
	return nil
}

// feed times, behind the first half of the context, prefill of most of the second
// half and then tokens one by one.
func (c *PaperCell) feed(l *bundle.Bundle, pool *kernel.Pool, dir string) error {
	const ahead = 24 // tokens decoded
	length := min(l.Model.Context(), 1024)
	n := (length - ahead) / 2
	d, ok := l.Model.(model.Decoder)
	if n < 1 || !ok {
		return fault.BadInput(fmt.Errorf("%s has a context of %d tokens, expected a decoder's of at least %d", dir, length, ahead+2))
	}
	ids := make([]int32, 2*n)
	for i := range ids {
		ids[i] = int32((i*7 + i/n) % l.Model.Vocab())
	}
	for range rounds {
		s, err := infer.NewScheduler(infer.Source{Model: d, Set: l.Set, Pool: pool}, infer.SchedulerOptions{MaxBatch: 1})
		if err != nil {
			return err
		}
		// The first half is read for the second to follow it, and makes its steps' graphs.
		_, err = timed(s, ids[:n], 1)
		var at []time.Time
		if err == nil {
			at, err = timed(s, ids, ahead)
		}
		s.Close()
		if err != nil {
			return err
		}
		// The step of one row is made for the second token.
		c.best("prefill", float64(n)/at[1].Sub(at[0]).Seconds())
		c.best("decode", float64(ahead-2)/at[ahead].Sub(at[2]).Seconds())
	}
	return nil
}

// best keeps the largest of a figure's values.
func (c *PaperCell) best(name string, v float64) { c.Figures[name] = max(c.Figures[name], v) }

// timed continues a prompt, and returns when it began and when each token came.
func timed(s *infer.Scheduler, prompt []int32, tokens int) ([]time.Time, error) {
	at := []time.Time{time.Now()}
	stream, err := s.Submit(context.Background(), infer.Request{Prompt: prompt, MaxTokens: tokens, Sampler: infer.SamplerConfig{TopP: 1}})
	if err != nil {
		return nil, err
	}
	for _, ok := stream.Next(); ok; _, ok = stream.Next() {
		at = append(at, time.Now())
	}
	_, err = stream.Result()
	return at, err
}
