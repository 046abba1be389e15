package lab

import (
	"errors"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// distil trains a cut model against the dense one and returns the tokens and its loss. Nothing
// of it looks at the held-out part: the last weights count.
func (c *comparison) distil(src *bundle.Bundle, d *denseModel, m *config.Method) (tokens int64, loss float64, err error) {
	parent, err := bundle.Open(d.dir, bundle.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer parent.Close()
	s := &recovery.Stage{
		Options: recovery.Options{Tokens: c.Compare.Recover.Tokens, Context: d.context, Hidden: m.Hidden, Rate: m.LR}.Resolve(),
		Parent:  recovery.Net{Model: parent.Model, Set: parent.Set}, Child: recovery.Net{Model: src.Model, Set: src.Set}, Pool: c.pool,
	}
	at := data.Cursor{Seed: d.seed, Epoch: 1 << 20} // an order that the dense model has not seen
	if s.Batches, err = d.data.Batches(s.Batch, s.Context, at); err != nil {
		return 0, 0, err
	}
	if n := s.Windows(); n > 1 {
		if s.Short, err = d.data.Batches(s.Batch*n, s.Context/n, at); err != nil {
			return 0, 0, err
		}
	}
	r, err := s.Run(c.ctx)
	if errors.Is(err, recovery.ErrInterrupted) {
		return 0, 0, ErrInterrupted
	} else if err != nil {
		return 0, 0, err
	}
	loss, err = c.loss(d, src)
	return r.Tokens, loss, err
}
