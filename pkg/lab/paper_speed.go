package lab

import (
	"fmt"
	"slices"
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
	m.Decode(b, nil, n, m.Context(), true)
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
	context := min(l.Model.Context(), 1024)
	n := (context - ahead) / 2
	if n < 1 {
		return fault.BadInput(fmt.Errorf("%s has a context of %d tokens, expected at least %d", dir, context, ahead+2))
	}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i * 7 % l.Model.Vocab())
	}
	var prefill, decode []float64
	for range rounds {
		s, err := infer.NewSession(l.Model, l.Set, pool, infer.SessionOptions{Batch: 1, Capacity: context})
		if err != nil {
			return err
		}
		timed := func(k, times int) float64 { // tokens a second
			start := time.Now()
			for range times {
				if err == nil {
					_, err = s.Feed(ids[:k])
				}
			}
			return float64(k*times) / time.Since(start).Seconds()
		}
		timed(n, 1) // makes the machine for n tokens
		prefill = append(prefill, timed(n, 1))
		timed(1, 1) // and that for one
		decode = append(decode, timed(1, ahead-1))
		s.Close()
		if err != nil {
			return err
		}
	}
	c.Figures["prefill"], c.Figures["decode"] = slices.Max(prefill), slices.Max(decode)
	return nil
}
