package prune

import (
	"errors"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Gather runs all sequences forward and backward and returns what the options
// ask for beside the gates. Its memory does not depend on how many there are.
// Options.PerSequence needs the gradient of every sequence by itself, so that
// sequences then run one at a time. Gates are seen in every sequence, activations
// in as many batches, evenly spread, as have perColumn tokens for each column.
func (c *Calibration) Gather(o coupled.Options) (*coupled.Evidence, error) {
	g := c.newGathering(o)
	defer g.Close()
	if err := g.to(c.Data.Len()); err != nil {
		g.e.Close()
		return nil, err
	}
	return g.e, c.merge(g.e)
}

// gathering is a pass over the sequences that gathers evidence, as far as it has come.
type gathering struct {
	c     *Calibration
	e     *coupled.Evidence
	half  *coupled.Evidence // the gates of every other batch; nil where nobody compares halves
	grads *param.Slab       // of one sequence; nil where no evidence reads them: gate gradients need none
	batch int
	every int // one batch in so many has its activations observed
	done  int // sequences

	saved func(g *gathering) error // is told after every batch; may be nil
}

func (c *Calibration) newGathering(o coupled.Options) *gathering {
	g := &gathering{c: c, batch: c.batch(), every: c.every(perColumn * widest(c.Set))}
	o.Product = c.product()
	if g.e = coupled.NewEvidence(c.Set, o); o.PerSequence() {
		g.batch, g.grads = 1, c.Set.NewSlab()
	}
	g.e.Sees = func(layer int) (bool, int) { return model.Sees(c.Model, c.Set, layer) }
	return g
}

// Close gives up the gradients; the evidence stays.
func (g *gathering) Close() {
	if g.grads != nil {
		g.grads.Close()
	}
}

// to goes on up to n sequences, whole batches or all that there are.
func (g *gathering) to(n int) error {
	full := n / g.batch * g.batch
	if err := g.pass(full, g.batch); err != nil {
		return err
	}
	return g.pass(n, 1) // what does not fill a batch
}

// pass goes on up to hi sequences, batch at a time.
func (g *gathering) pass(hi, batch int) error {
	if g.done >= hi {
		return nil
	}
	c, show, count := g.c, newObserving(g.e), 0
	show.also = c.store.recorded()
	if batch == g.batch {
		count = g.done / batch
	}
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Train: g.grads != nil, Gates: g.grads == nil, Documents: c.Data.Packed(), LayerGates: g.e.WholeLayers()})
	c.Model.Loss(b, batch, c.Data.Context, 0)
	m, err := b.Lower(graph.LowerOptions{
		Pool: c.Pool, Grads: g.grads, Taps: true, InGradients: true, Recompute: c.recompute(), Observe: show.show,
	})
	if err != nil {
		return err
	}
	defer m.Close()
	for ; g.done < hi; count++ {
		if err := c.stopped(); err != nil {
			return err
		}
		lo := g.done
		g.done += batch
		if !c.mine(count, g.every) {
			continue
		}
		show.now, show.skip = c.Data.slice(lo, lo+batch), count%g.every != 0
		if show.also != nil {
			show.also.parts = append(show.also.parts, batch)
		}
		if err := g.run(m, show.now, count%2 == 1); err != nil {
			return err
		}
		plan := m.Plan()
		c.worked(plan.FLOPs() + plan.RecomputedFLOPs())
		if c.Seen != nil {
			c.Seen(g.done, c.Data.Len())
		}
		if g.saved != nil {
			if err := g.saved(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// run adds one batch to the evidence. The loss is the mean over a sequence's
// predicted tokens, summed over the batch: a gate's gradient is then that of its
// own sequence's loss.
func (g *gathering) run(m *graph.Machine, s Sequences, odd bool) error {
	predicted := s.Predicted()
	if predicted == 0 {
		return errors.New("prune: a calibration batch predicts nothing")
	}
	scale := float32(s.Len()) / float32(predicted)
	if err := s.Feed(m, scale); err != nil {
		return err
	}
	if err := m.RunFresh(); err != nil {
		return err
	}
	for _, dim := range g.e.Gates() {
		r := m.Output("gate:" + dim)
		if err := g.e.Add(dim, r, 1); err != nil {
			return err
		}
		if g.half != nil && odd {
			if err := g.half.Add(dim, r, 1); err != nil {
				return err
			}
		}
	}
	if g.grads != nil {
		return g.e.AddGradients(g.grads, 1)
	}
	return nil
}
