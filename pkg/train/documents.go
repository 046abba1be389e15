package train

import (
	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
)

// documents is the loss of each document of an evaluation: nats and predicted tokens, two
// numbers a document.
type documents []float64

// add adds the losses of a batch; one that is not packed has no documents.
func (d *documents) add(nll []float32, b data.Batch) {
	for i, n := range b.Documents {
		if b.Targets[i] < 0 {
			continue
		}
		for int(n) >= len(*d)/2 {
			*d = append(*d, 0, 0)
		}
		(*d)[2*n] += float64(nll[i])
		(*d)[2*n+1]++
	}
}

// sum adds up what the ranks have seen.
func (d *documents) sum(g dist.Group) error {
	if g.Size() == 1 {
		return nil
	}
	// A rank that saw the last document has the longest list.
	most := make([]float64, g.Size())
	most[g.Rank()] = float64(len(*d))
	if err := g.SumFloat64(most); err != nil {
		return err
	}
	for _, n := range most {
		for len(*d) < int(n) {
			*d = append(*d, 0)
		}
	}
	return g.SumFloat64(*d)
}

// mean is the number of documents in which something was predicted, and the mean of their
// losses.
func (d documents) mean() (n int, loss float64) {
	for i := 0; i < len(d); i += 2 {
		if d[i+1] > 0 {
			n++
			loss += d[i] / d[i+1]
		}
	}
	return n, loss / float64(max(1, n))
}
