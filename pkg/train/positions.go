package train

import (
	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
)

// stretches are the equal parts of the context whose losses an evaluation tells apart.
const stretches = 8

// positions is the loss along the context: nats and predicted tokens of each stretch.
type positions [2 * stretches]float64

// add adds the losses of a batch by where tokens stand in their document, or sequence; texts
// whose vectors are compared have no losses of tokens.
func (p *positions) add(nll []float32, b data.Batch) {
	if b.Vectors != nil {
		return
	}
	context := len(b.Targets) / b.N
	for i, x := range nll {
		if b.Targets[i] < 0 {
			continue
		}
		at := i % context
		if b.Positions != nil {
			at = int(b.Positions[i])
		}
		at = at * stretches / context
		p[2*at] += float64(x)
		p[2*at+1]++
	}
}

// means adds up what the ranks have seen and divides, as far as anything was predicted.
func (p *positions) means(g dist.Group) (out []float64, err error) {
	if err := g.SumFloat64(p[:]); err != nil {
		return nil, err
	}
	for at := 0; at < len(p) && p[at+1] > 0; at += 2 {
		out = append(out, p[at]/p[at+1])
	}
	return out, nil
}
