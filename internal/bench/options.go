package bench

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// ErrOptions is returned for options that cannot be timed.
var ErrOptions = errors.New("bench")

// Options is what is timed.
type Options struct {
	Engine      string // name and version of the program, for Result.Engine
	Model       string // size by name
	Batch, Seq  int
	Steps       int // timed steps, after one that is not; the median counts
	Threads     int // 0 is every core
	BF16        bool
	Q8          bool            // infer: weights stored as q8_0
	QK, VO, FFN int             // pruned widths; 0 is dense
	Prune       float64         // fraction of the parameters to keep, by uniform widths; 0 is dense
	Of          string          // what Prune is a fraction of: all or prunable
	Moments     string          // step: f32 or bf16
	Evidence    bool            // step: gather gate gradients as well
	Recompute   graph.Recompute // step
	Set         []string        // step: further keys of a run file, train.KEY=VALUE and optim.KEY=VALUE
	Group       dist.Group      // step: the ranks; nil is this process only
	Wire        string          // step, of several ranks: type of the gradients that they exchange, f32 or bf16
	Shard       bool            // step, of several ranks: each keeps the moments of its part
	Last        bool            // infer: logits of the last token only
	Decode      bool            // infer: one token at a time, after Seq tokens

	peak float64 // the rate measured before the steps; see rate
}

// Resolve checks the model's name and, for a model of images, sets Seq to their
// tokens.
func (o *Options) Resolve() error {
	s := model.Sizes{Name: o.Model}
	if !s.Images() {
		return nil
	}
	m, err := model.New(s)
	if err != nil {
		return err
	}
	o.Seq = m.Context()
	return nil
}

func (o Options) images() bool { s := model.Sizes{Name: o.Model}; return s.Images() }

func (o Options) group() dist.Group {
	if o.Group == nil {
		return dist.Alone{}
	}
	return o.Group
}

// Training is the configuration of the steps that are timed.
func (o Options) Training() (train.Config, optim.Config, error) {
	c := train.Default()
	c.Steps, c.Batch, c.MicroBatch, c.Context = o.Steps+1, o.Batch, o.Batch, o.Seq
	c.Recompute, c.ShardOptimizer = o.Recompute.String(), o.Shard
	if o.Wire != "" {
		c.Wire = o.Wire
	}
	if o.BF16 {
		c.Precision = "bf16"
	}
	oc := optim.Default()
	oc.LR, oc.WarmUp = 1e-4, optim.Steps(0)
	if o.Moments != "" {
		oc.Moments = o.Moments
	}
	r, err := manner(config.Run{Train: c, Optim: oc}, o.Set)
	if r.LoRA.Enabled() {
		return c, oc, refused("lora.rank is %d: expected train.KEY=VALUE and optim.KEY=VALUE", r.LoRA.Rank)
	}
	return r.Train, r.Optim.Resolve(r.Train.Steps), err
}

// manner applies keys of a run file's sections train, optim and lora.
func manner(r config.Run, set []string) (config.Run, error) {
	for _, kv := range set {
		if key, _, _ := strings.Cut(kv, "."); key != "train" && key != "optim" && key != "lora" {
			return r, refused("%s: expected train.KEY=VALUE or optim.KEY=VALUE", kv)
		}
	}
	if err := config.DecodeWith(nil, set, &r); err != nil {
		return r, refused("%w", err)
	}
	if err := errors.Join(r.Train.Validate(), r.Optim.Validate(), r.LoRA.Validate()); err != nil {
		return r, refused("%w", err)
	}
	return r, nil
}

// Memory is what a step plans to take.
func (o Options) Memory() (train.Memory, error) {
	m, shapes, err := o.Layout()
	if err != nil {
		return train.Memory{}, err
	}
	c, oc, err := o.Training()
	if err != nil {
		return train.Memory{}, err
	}
	return train.Footprint(c, oc, model.LoRA{}, m, shapes, o.Evidence)
}

// rate is the machine's limit for the arithmetic that o's products do, in FLOP/s.
// bfloat16 on a CPU without instructions for it is read as such and multiplied in
// float32, so that the limit is float32's. It is measured before the steps and after
// them, and the larger one counts: one that another program disturbs would flatter
// the steps.
func (o Options) rate(pool *kernel.Pool) float64 {
	if o.BF16 && kernel.HasBF16() {
		return kernel.PeakBF16(pool, 0.3)
	}
	return kernel.PeakFLOPS(pool, 0.3)
}

func refused(format string, a ...any) error {
	return fmt.Errorf("%w: %w", ErrOptions, fmt.Errorf(format, a...))
}
