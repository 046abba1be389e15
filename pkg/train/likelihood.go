package train

import (
	"fmt"
	"sort"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Continuation is tokens of which those from From on (1 or more) are to be judged.
type Continuation struct {
	IDs  []int32
	From int
}

// lengthStep is what lengths of continuations are rounded up to, so that few
// machines serve many lengths.
const lengthStep = 32

// Likelihoods is the log likelihood, in nats, that a model gives the judged tokens
// of each continuation. What is longer than the context loses its front, judged tokens
// too where they alone are longer. done is called after every batch with the
// continuations that are through; it may be nil.
func Likelihoods(m model.Model, set *param.Set, pool *kernel.Pool, all []Continuation, done func(n int64)) ([]float64, error) {
	out := make([]float64, len(all))
	through := int64(0)
	err := judged(m, all, func(items []item, B, T int) error {
		machine, err := lower(m, set, pool, shape{batch: B, context: T})
		if err != nil {
			return err
		}
		defer machine.Close()
		return inBatches(items, B, T, func(b data.Batch, batch []item) error {
			if err := b.Feed(machine, 1); err != nil {
				return err
			}
			if err := machine.RunAll(); err != nil {
				return err
			}
			nll := machine.Output("nll")
			for r, it := range batch {
				for _, x := range nll[r*T+it.from-1 : r*T+it.length] {
					out[it.at] -= float64(x)
				}
			}
			if through += int64(len(batch)); done != nil {
				done(through)
			}
			return nil
		})
	})
	return out, err
}

// item is a continuation as it is judged: its index in all, first judged token and number
// of inputs after its front has gone.
type item struct {
	at, from, length int
	ids              []int32
}

// judged groups continuations by length and gives each group to do, with the batch and
// the context that a machine for it has.
func judged(m model.Model, all []Continuation, do func(items []item, B, T int) error) error {
	items := make([]item, len(all))
	for i, c := range all {
		if c.From < 1 || c.From >= len(c.IDs) {
			return fmt.Errorf("train: continuation %d of %d tokens is judged from token %d on", i, len(c.IDs), c.From)
		}
		drop := max(0, len(c.IDs)-1-m.Context())
		items[i] = item{i, max(1, c.From-drop), len(c.IDs) - 1 - drop, c.IDs[drop:]}
	}
	sort.SliceStable(items, func(a, b int) bool { return items[a].length < items[b].length })
	for lo := 0; lo < len(items); {
		T := min(m.Context(), (items[lo].length+lengthStep-1)/lengthStep*lengthStep)
		hi := lo
		for hi < len(items) && items[hi].length <= T {
			hi++
		}
		if err := do(items[lo:hi], min(max(1, 4096/T), hi-lo), T); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// inBatches gives items to run B at a time, with the batch that holds them.
func inBatches(items []item, B, T int, run func(b data.Batch, batch []item) error) error {
	b := data.Batch{N: B, IDs: make([]int32, B*T), Targets: make([]int32, B*T)}
	for ; len(items) > 0; items = items[min(B, len(items)):] {
		batch := items[:min(B, len(items))]
		for i := range b.IDs {
			b.IDs[i], b.Targets[i] = 0, -1
		}
		for r, it := range batch {
			copy(b.IDs[r*T:], it.ids[:it.length])
			copy(b.Targets[r*T+it.from-1:], it.ids[it.from:])
		}
		if err := run(b, batch); err != nil {
			return err
		}
	}
	return nil
}
