package train

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Greedy is Likelihoods, and whether every judged token of a continuation is the
// likeliest where it stands: what greedy generation would write. Logits are made of the
// judged tokens' rows only.
func Greedy(m model.Model, set *param.Set, pool *kernel.Pool, all []Continuation, done func(n int64)) (likelihoods []float64, right []bool, err error) {
	d, ok := m.(interface {
		Hidden(b *graph.Builder, cache *graph.Cache, B, T int) *graph.Node
		Logits(b *graph.Builder, h *graph.Node) *graph.Node
	})
	if !ok {
		return nil, nil, fmt.Errorf("train: a model of the family %s continues no text", m.Family())
	}
	through := int64(0)
	likelihoods, right = make([]float64, len(all)), make([]bool, len(all))
	err = judged(m, all, func(items []item, B, T int) error {
		rows := 0 // of one continuation, at most
		for _, it := range items {
			rows = max(rows, it.length-it.from+1)
		}
		b := graph.NewBuilder(set, graph.BuildOptions{})
		b.Output("logits", d.Logits(b, b.Embed(b.IDs("rows", B*rows), d.Hidden(b, nil, B, T))))
		machine, err := b.Lower(graph.LowerOptions{Pool: pool})
		if err != nil {
			return err
		}
		defer machine.Close()
		return inBatches(items, B, T, func(b data.Batch, batch []item) error {
			pick := make([]int32, B*rows)
			for r, it := range batch {
				for i := range it.length - it.from + 1 {
					pick[r*rows+i] = int32(r*T + it.from - 1 + i)
				}
			}
			if err := b.FeedInputs(machine); err != nil {
				return err
			}
			if err := machine.SetInts("rows", pick); err != nil {
				return err
			}
			if err := machine.RunAll(); err != nil {
				return err
			}
			logits := machine.Output("logits")
			for r, it := range batch {
				right[it.at] = true
				for i := range it.length - it.from + 1 {
					nll, rank := judge(logits[(r*rows+i)*m.Vocab():][:m.Vocab()], int(it.ids[it.from+i]))
					likelihoods[it.at] -= nll
					right[it.at] = right[it.at] && rank == 0
				}
			}
			if through += int64(len(batch)); done != nil {
				done(through)
			}
			return nil
		})
	})
	return likelihoods, right, err
}
