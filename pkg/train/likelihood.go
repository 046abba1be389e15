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
// of each continuation. What is longer than the context loses its front, which is
// never judged: judged tokens that do not fit are an error.
func Likelihoods(m model.Model, set *param.Set, pool *kernel.Pool, all []Continuation) ([]float64, error) {
	type item struct {
		at, from, length int // index in all, first judged token and inputs after the front has gone
		ids              []int32
	}
	items := make([]item, len(all))
	for i, c := range all {
		drop := max(0, len(c.IDs)-1-m.Context())
		if c.From < 1 || c.From >= len(c.IDs) || c.From-drop < 1 {
			return nil, fmt.Errorf("train: continuation %d of %d tokens is judged from token %d on, which does not fit the context of %d", i, len(c.IDs), c.From, m.Context())
		}
		items[i] = item{i, c.From - drop, len(c.IDs) - 1 - drop, c.IDs[drop:]}
	}
	sort.SliceStable(items, func(a, b int) bool { return items[a].length < items[b].length })
	out := make([]float64, len(all))
	for lo := 0; lo < len(items); {
		T := min(m.Context(), (items[lo].length+lengthStep-1)/lengthStep*lengthStep)
		hi := lo
		for hi < len(items) && items[hi].length <= T {
			hi++
		}
		B := min(max(1, 4096/T), hi-lo)
		machine, err := lower(m, set, pool, shape{batch: B, context: T})
		if err != nil {
			return nil, err
		}
		ids, targets := make([]int32, B*T), make([]int32, B*T)
		for ; lo < hi; lo += B {
			batch := items[lo:min(lo+B, hi)]
			for i := range ids {
				ids[i], targets[i] = 0, -1
			}
			for b, it := range batch {
				copy(ids[b*T:], it.ids[:it.length])
				copy(targets[b*T+it.from-1:], it.ids[it.from:])
			}
			if err = (data.Batch{N: B, IDs: ids, Targets: targets}).Feed(machine, 1); err == nil {
				err = machine.RunAll()
			}
			if err != nil {
				machine.Close()
				return nil, err
			}
			nll := machine.Output("nll")
			for b, it := range batch {
				for _, x := range nll[b*T+it.from-1 : b*T+it.length] {
					out[it.at] -= float64(x)
				}
			}
		}
		lo = hi
		if err := machine.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
