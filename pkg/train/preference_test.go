package train

import (
	"math"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/internal/dist/disttest"
	"github.com/ecospa/ecospa/pkg/data"
)

// paired yields batches of 8 sequences of 16 tokens, two and two: a chosen answer of 6 tokens
// after a prompt of 3, and at the same place a rejected one of 4 with another document behind it.
type paired struct{ at int32 }

func (p *paired) Next() (data.Batch, error) {
	const T, N = 16, 8
	b := data.Batch{N: N}
	for n := range int32(N) {
		last := int32(8) - n%2*2 // of the document that counts
		for i := range int32(T) {
			id, target, start, at, pair := (p.at+n/2*5+i*3+n%2)%17, int32(-1), int32(0), i, int32(-1)
			switch {
			case i > 9:
				start, at = T, 0
			case i > last:
				start, at = last+1, i-last-1
			case i >= 2:
				target, pair = (p.at+n/2*5+i*3+3+n%2)%17, 0
			}
			b.IDs, b.Targets, b.Starts, b.Positions, b.Pairs = append(b.IDs, id), append(b.Targets, target), append(b.Starts, start), append(b.Positions, at), append(b.Pairs, pair)
			b.Reference = append(b.Reference, -18)
		}
	}
	p.at++
	return b, nil
}

func (*paired) Documents() bool { return true }

// TestPreferenceOnRanks: losses and rewards of two ranks, and of micro-batches, are those of one
// process but for the order of sums, and the margin grows.
func TestPreferenceOnRanks(t *testing.T) {
	train := func(ranks, micro int) (records []Record) {
		loops := make([]*Loop, ranks)
		var wait sync.WaitGroup
		errs := make([]error, ranks)
		for r, g := range disttest.Local(ranks) {
			c := config(12)
			c.MicroBatch = micro
			l := tinyLoop(t, "llama", c)
			l.Batches = &paired{}
			if ranks > 1 {
				if err := l.Join(g); err != nil {
					t.Fatal(err)
				}
			}
			l.Prefer(Preference{Loss: DPO, Margin: -1})
			l.Attach(Hook{Name: "test", Step: func(l *Loop) error {
				if r == 0 {
					records = append(records, l.Last)
				}
				return nil
			}})
			loops[r] = l
			wait.Go(func() { errs[r] = l.Run(t.Context()) })
		}
		wait.Wait()
		for r, err := range errs {
			if err != nil {
				t.Fatalf("rank %d: %v", r, err)
			}
		}
		return records
	}
	one := train(1, 8)
	if first, last := one[0].Rewards, one[len(one)-1].Rewards; !(last.Margin > first.Margin+0.05) || one[0].Tokens != 4*12 {
		t.Errorf("margins from %+v to %+v, %d tokens a step", first, last, one[0].Tokens)
	}
	for name, other := range map[string][]Record{"two ranks": train(2, 4), "micro-batches": train(1, 2)} {
		for i, r := range other {
			if math.Abs(r.Loss-one[i].Loss) > 1e-4 || math.Abs(r.Rewards.Margin-one[i].Rewards.Margin) > 1e-3 || r.Tokens != one[i].Tokens {
				t.Errorf("%s, step %d: %g and %+v, expected %g and %+v", name, i+1, r.Loss, *r.Rewards, one[i].Loss, *one[i].Rewards)
			}
		}
	}
}
