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

	ctx  context.Context   // of a job that runs; nil never ends
	work func(flops int64) // is told of operations that have been done; may be nil
}

// worked reports so many operations.
func (c *Calibration) worked(flops int64) {
	if c.work != nil {
		c.work(flops)
	}
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

// every is how many batches there are for one whose activations are observed.
func (c *Calibration) every(widest int) int {
	return max(1, c.Data.Len()*c.Data.Context/max(1, enough*widest))
}

// observing hands the activations of the batch at hand that the evidence expects to it.
type observing struct {
	e     *coupled.Evidence
	sites map[string]bool
	now   Sequences
	skip  bool // the batch at hand is not looked at
}

func newObserving(e *coupled.Evidence) *observing {
	o := &observing{e: e, sites: map[string]bool{}}
	for _, s := range e.Sites() {
		o.sites[s.Name] = true
	}
	return o
}

func (o *observing) show(name string, x []float32, rows, _ int) error {
	if o.skip || !o.sites[name] {
		return nil
	}
	return o.e.ObserveDocuments(name, x, o.now.Len(), rows/o.now.Len(), o.now.Starts)
}

// pass runs sequences lo..hi, batch at a time. grads is where the gradients of the weights
// go; nil where no evidence reads them: then they are not computed.
func (c *Calibration) pass(e *coupled.Evidence, grads *param.Slab, lo, hi, batch int) error {
	if lo == hi {
		return nil
	}
	show, every, count := newObserving(e), c.every(widest(c.Set)), 0
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Train: grads != nil, Gates: grads == nil, Documents: c.Data.Packed()})
	c.Model.Loss(b, batch, c.Data.Context, 0)
	m, err := b.Lower(graph.LowerOptions{
		Pool: c.Pool, Grads: grads, Taps: true, Lend: true, Recompute: c.recompute(),
		Observe: show.show,
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
		show.now, show.skip = c.Data.slice(lo, lo+batch), count%every != 0
		if err := c.run(m, e, grads, show.now); err != nil {
			return err
		}
		c.worked(m.Plan().FLOPs())
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
