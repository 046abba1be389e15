package prune

import (
	"context"
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

// tokens is what the sequences hold, padding included.
func (s Sequences) tokens() int { return s.N * s.Context }

// slice is sequences lo..hi.
func (s Sequences) slice(lo, hi int) Sequences {
	return Sequences{s.Context, s.Batch.Slice(lo, hi)}
}

// heads is the first n tokens of each sequence; all of them for 0, and where nothing would be
// left to predict.
func (s Sequences) heads(n int) Sequences {
	if n == 0 || n >= s.Context {
		return s
	}
	if head, ok := s.Head(s.Context, n); ok {
		return Sequences{n, head}
	}
	return s
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

	ctx   context.Context   // of a job that runs; nil never ends
	work  func(flops int64) // is told of operations that have been done; may be nil
	store *store            // of the model as it is; nil for none
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

func (c *Calibration) recompute() graph.Recompute { return max(c.Recompute, graph.RecomputeLight) }

// every is how many batches there are for one that is looked at, where so many tokens are enough.
func (c *Calibration) every(tokens int) int {
	return max(1, c.Data.Len()*c.Data.Context/max(1, tokens))
}

// observing hands the activations of the batch at hand that the evidence expects to it.
type observing struct {
	e     *coupled.Evidence
	sites map[string]bool
	also  *activations // is shown every batch; may be nil
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
	if o.also != nil {
		if err := o.also.add(name, x); err != nil {
			return err
		}
	}
	if o.skip || !o.sites[name] {
		return nil
	}
	return o.e.ObserveDocuments(name, x, o.now.Len(), rows/o.now.Len(), o.now.Starts)
}

// check refuses calibration data that the model cannot read.
func (c *Calibration) check() error {
	if c.Data.Len() < 1 || c.Data.Context > c.Model.Context() {
		return fmt.Errorf("prune: %d calibration sequences of %d tokens for a context of %d", c.Data.Len(), c.Data.Context, c.Model.Context())
	}
	return nil
}
