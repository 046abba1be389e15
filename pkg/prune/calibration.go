package prune

import (
	"context"
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Sequences is calibration data: sequences of Context tokens, or images that are
// so many tokens (patches and class tokens) to the model.
type Sequences struct {
	Context int
	data.Batch
}

// Len is the number of sequences.
func (s Sequences) Len() int { return s.N }

// slice is sequences lo..hi.
func (s Sequences) slice(lo, hi int) Sequences {
	return Sequences{s.Context, s.Batch.Slice(lo, hi)}
}

// Calibration runs sequences through a model to see what its units do.
type Calibration struct {
	Model model.Model
	Set   *param.Set
	Pool  *kernel.Pool
	Data  Sequences
	Batch int                   // sequences at a time; default 4
	Seen  func(done, total int) // called after every batch; may be nil
	// Recompute trades time for memory in passes that gather evidence, whose bits it does
	// not change; at least RecomputeLight, which costs a hundredth, is done.
	Recompute graph.Recompute
	// Ranks share the work: each sees its part of Data, of which all have the whole,
	// and all get the evidence of the whole. nil for one.
	Ranks dist.Group

	ctx context.Context // of a job that runs; nil never ends
}

// stopped is why a pass ends early, or nil.
func (c *Calibration) stopped() error {
	if c.ctx == nil {
		return nil
	}
	return c.ctx.Err()
}

func (c *Calibration) batch() int {
	if c.Batch == 0 {
		return min(4, c.Data.Len())
	}
	return min(c.Batch, c.Data.Len())
}

// Gather runs all sequences forward and backward and returns what the options
// ask for beside the gates. Its memory does not depend on how many there are.
// Options.PerSequence needs the gradient of every sequence by itself, so that
// sequences then run one at a time. Gates are seen in every sequence, activations
// in as many batches, evenly spread, as determine their second moments (enough).
func (c *Calibration) Gather(o coupled.Options) (*coupled.Evidence, error) {
	batch := c.batch()
	if o.PerSequence() {
		batch = 1
	}
	o.Product = c.product()
	e := coupled.NewEvidence(c.Set, o)
	var grads *param.Slab // gate gradients need none
	if o.PerSequence() {
		grads = c.Set.NewSlab()
		defer grads.Close()
	}
	// What does not fill a batch runs one sequence at a time.
	n := c.Data.Len()
	full := n / batch * batch
	if err := c.pass(e, grads, 0, full, batch); err != nil {
		return nil, err
	}
	if err := c.pass(e, grads, full, n, 1); err != nil {
		return nil, err
	}
	return e, c.merge(e)
}

func (c *Calibration) recompute() graph.Recompute { return max(c.Recompute, graph.RecomputeLight) }

// enough is how many tokens, for each column of the widest activation, its second
// moments are taken from: more changes nothing that a cut could show.
const enough = 4

// every is how many batches there are for one whose activations are observed.
func (c *Calibration) every(e *coupled.Evidence) int {
	widest := 0
	for _, s := range e.Sites() {
		widest = max(widest, s.Cols)
	}
	return max(1, c.Data.Len()*c.Data.Context/max(1, enough*widest))
}

// Look runs all sequences forward and returns the second moments that a change of
// basis needs.
func (c *Calibration) Look(o coupled.Options) (*coupled.Evidence, error) {
	o.Product = c.product()
	e := coupled.NewEvidence(c.Set, o)
	batch, n := c.batch(), c.Data.Len()
	full := n / batch * batch
	if err := c.forward(e, 0, full, batch); err != nil {
		return nil, err
	}
	if err := c.forward(e, full, n, 1); err != nil {
		return nil, err
	}
	return e, c.merge(e)
}

// forward shows sequences lo..hi, batch at a time, to the evidence.
func (c *Calibration) forward(e *coupled.Evidence, lo, hi, batch int) error {
	if lo == hi {
		return nil
	}
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Documents: c.Data.Packed()})
	c.Model.Loss(b, batch, c.Data.Context, 0)
	m, err := b.Lower(graph.LowerOptions{Pool: c.Pool, Observe: c.observe(e), SitesOnly: true})
	if err != nil {
		return err
	}
	defer m.Close()
	for i := 0; lo < hi; i, lo = i+1, lo+batch {
		if !c.mine(i, 1) {
			continue
		}
		if err := c.stopped(); err != nil {
			return err
		}
		if err := c.Data.slice(lo, lo+batch).FeedInputs(m); err != nil {
			return err
		}
		if err := m.RunAll(); err != nil {
			return err
		}
	}
	return nil
}

// observe hands the activations that the evidence expects to it.
func (c *Calibration) observe(e *coupled.Evidence) func(name string, x []float32, rows, cols int) error {
	sites := map[string]bool{}
	for _, s := range e.Sites() {
		sites[s.Name] = true
	}
	return func(name string, x []float32, rows, cols int) error {
		if !sites[name] {
			return nil
		}
		return e.Observe(name, x, rows/c.Data.Context, c.Data.Context)
	}
}

// pass runs sequences lo..hi, batch at a time. grads is where the gradients of the weights
// go; nil where no evidence reads them: then they are not computed.
func (c *Calibration) pass(e *coupled.Evidence, grads *param.Slab, lo, hi, batch int) error {
	if lo == hi {
		return nil
	}
	show, every, count := c.observe(e), c.every(e), 0
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Train: grads != nil, Gates: grads == nil, Documents: c.Data.Packed()})
	c.Model.Loss(b, batch, c.Data.Context, 0)
	m, err := b.Lower(graph.LowerOptions{
		Pool: c.Pool, Grads: grads, Taps: true, Lend: true, Recompute: c.recompute(),
		Observe: func(name string, x []float32, rows, cols int) error {
			if count%every != 0 {
				return nil
			}
			return show(name, x, rows, cols)
		},
	})
	if err != nil {
		return err
	}
	defer m.Close()
	for ; lo < hi; count, lo = count+1, lo+batch {
		if !c.mine(count, every) {
			continue
		}
		if err := c.stopped(); err != nil {
			return err
		}
		if err := c.run(m, e, grads, c.Data.slice(lo, lo+batch)); err != nil {
			return err
		}
		if c.Seen != nil {
			c.Seen(lo+batch, c.Data.Len())
		}
	}
	return nil
}

// run adds one batch to the evidence. The loss is the mean over a sequence's
// predicted tokens, summed over the batch: a gate's gradient is then that of its
// own sequence's loss.
func (c *Calibration) run(m *graph.Machine, e *coupled.Evidence, grads *param.Slab, s Sequences) error {
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
	for _, dim := range e.Gates() {
		if err := e.Add(dim, m.Output("gate:"+dim), 1); err != nil {
			return err
		}
	}
	if grads != nil {
		return e.AddGradients(grads, 1)
	}
	return nil
}

// product is xᵀx by the fast kernels, for the evidence's moments.
func (c *Calibration) product() func(out []float32, n int, x []float32, rows, stride int) {
	return func(out []float32, n int, x []float32, rows, stride int) {
		a := kernel.Matrix{Data: x, Rows: rows, Cols: n, Stride: stride}
		kernel.MatMul(c.Pool, kernel.Mat(out, n, n), a, a, kernel.Product{TransA: true, Accumulate: true})
	}
}

// check refuses calibration data that the model cannot read.
func (c *Calibration) check() error {
	if c.Data.Len() < 1 || c.Data.Context > c.Model.Context() {
		return fmt.Errorf("prune: %d calibration sequences of %d tokens for a context of %d", c.Data.Len(), c.Data.Context, c.Model.Context())
	}
	return nil
}
