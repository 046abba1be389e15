package workload

import (
	"iter"
	"time"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// Turns of InTurns: at least the fewest, then until the time is over, at most the most; the
// first warms up.
const (
	fewestTurns = 4
	mostTurns   = 12
	turnsTime   = 3 * time.Second
)

// inTurns is prune.Job.InTurns: one held-out sequence of the calibration's length, by the
// model of From and by the pruned one. There is nothing to compare where ranks share the
// work, where the vocabulary was cut, for encoders without a head, and where both models at
// once would take more memory than the pruning did.
func (p Pruning) inTurns(w Workload, b *bundle.Bundle, on prune.Subject, context int) (before, after []float64, err error) {
	parent := b.Bytes // as stored
	if p.Open.Weights == param.F32 {
		parent = 4 * int64(b.Set.Count()) // at least: it was cut
	}
	const little = 512 << 20
	now, peak := sysmem.Resident()
	if p.Ranks.Size() > 1 || p.Vocabulary.Asked() || w.Unit() == OneText || now+parent > max(peak, little) {
		return nil, nil, nil
	}
	o, err := bundle.Open(p.From, p.Open)
	if err != nil {
		return nil, nil, err
	}
	defer o.Close()
	limit := context
	if w.Unit() == Image {
		limit = 1
	}
	one := func() iter.Seq2[data.Batch, error] { return w.Validation(1, context, limit) }
	var both [2]*train.Evaluator
	for i, x := range []*bundle.Bundle{o, b} {
		if both[i], err = train.NewEvaluator(x.Model, x.Set, on.Pool, 1, context, false); err != nil {
			return nil, nil, err
		}
		defer both[i].Close()
	}
	start := time.Now()
	for n := 0; n < mostTurns && (n < fewestTurns || time.Since(start) < turnsTime); n++ {
		for i, rates := range []*[]float64{&before, &after} {
			e, err := both[i].Run(one())
			if err != nil {
				return nil, nil, err
			}
			*rates = append(*rates, e.Rates[0])
		}
	}
	return before, after, nil
}
