package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Losses measures the loss of trial cuts on one batch of sequences. The
// activations that enter the first layer that a cut touches are kept from a pass
// of the whole model, so that a trial runs only the layers from there on.
type Losses struct {
	model    model.Model
	set      *param.Set
	pool     *kernel.Pool
	data     Sequences
	improve  coupled.Improve
	evidence *coupled.Evidence

	inputs [][]float32      // that enter each layer [N, E]; the first is not needed
	tails  []*graph.Machine // from each layer on, lowered when first asked for
	Runs   int              // trials made
}

// NewLosses prepares trials of cuts improved as improve says, on the uncut model.
func NewLosses(m model.Model, set *param.Set, pool *kernel.Pool, data Sequences, improve coupled.Improve, e *coupled.Evidence) (*Losses, error) {
	l := &Losses{model: m, set: set, pool: pool, data: data, improve: improve, evidence: e}
	layers := set.Layers()
	entering := map[string]int{} // layer, by the name of its site
	for i := 1; i < layers; i++ {
		entering[param.InLayer(i, "input")] = i
	}
	l.inputs, l.tails = make([][]float32, layers), make([]*graph.Machine, layers)
	b := graph.NewBuilder(set, graph.BuildOptions{Documents: data.Packed()})
	m.Loss(b, data.Len(), data.Context, 0)
	seen := false // trials run the same machine, with other weights
	whole, err := b.Lower(graph.LowerOptions{Pool: pool, Observe: func(site string, x []float32, _, _ int) error {
		if seen {
			return nil
		}
		if layer := entering[site]; layer > 0 {
			l.inputs[layer] = append([]float32(nil), x...)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	l.tails[0] = whole
	if err := data.Feed(whole, 1); err != nil {
		return nil, err
	}
	err = whole.RunAll()
	seen = true
	return l, err
}

// Close releases the machines.
func (l *Losses) Close() {
	for _, m := range l.tails {
		if m != nil {
			m.Close()
		}
	}
}

// Of is the mean loss, in nats a token, of the model with a cut.
func (l *Losses) Of(cut param.Cut) (float64, error) {
	from := 0
	if len(cut) > 0 {
		from = coupled.FirstLayer(l.set, cut)
	}
	m, err := l.tail(from)
	if err != nil {
		return 0, err
	}
	l.Runs++
	if err := l.improve.Try(l.set, l.evidence, cut, m.RunAll); err != nil {
		return 0, err
	}
	return float64(m.Output("loss")[0]) / float64(l.data.Predicted()), nil
}

// tail is the machine that runs layers from on.
func (l *Losses) tail(from int) (*graph.Machine, error) {
	if l.tails[from] != nil {
		return l.tails[from], nil
	}
	b := graph.NewBuilder(l.set, graph.BuildOptions{Documents: l.data.Packed()})
	l.model.Loss(b, l.data.Len(), l.data.Context, from)
	m, err := b.Lower(graph.LowerOptions{Pool: l.pool})
	if err != nil {
		return nil, err
	}
	l.tails[from] = m
	if err := l.data.FeedDocuments(m); err != nil {
		return nil, err
	}
	if err := m.SetInts("targets", l.data.Targets); err != nil {
		return nil, err
	}
	if err := m.SetFloats("scale", 1); err != nil {
		return nil, err
	}
	return m, m.SetFloats("hidden", l.inputs[from]...)
}
