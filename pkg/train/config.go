package train

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// Config is the train section of a run file.
type Config struct {
	Steps          int     `yaml:"steps"`           // optimizer steps; required without epochs
	Epochs         float64 `yaml:"epochs"`          // passes over the training data, instead of steps; default (0) steps decide
	Batch          int     `yaml:"batch"`           // sequences, or images, per step; default 16
	MicroBatch     int     `yaml:"micro_batch"`     // sequences computed at a time, must divide batch; default (0) the whole batch
	Context        int     `yaml:"context"`         // tokens per sequence; default (0) the model's context; not for images
	Seed           uint64  `yaml:"seed"`            // seed of the initial weights and of the order of the data; default 1
	Threads        int     `yaml:"threads"`         // worker threads; default (0) one per core
	Precision      string  `yaml:"precision"`       // f32 (default), or bf16: matrix products read bfloat16 and sum in float32, what the backward pass needs of a layer is kept as bfloat16; weights, residual stream and gradients stay float32
	Weights        string  `yaml:"weights"`         // type of the weights in memory: f32 (default); bf16: half the memory, updates rounded stochastically (see optim.seed); q8_0: a quarter, only with lora
	Wire           string  `yaml:"wire"`            // type of the gradients sent between MPI ranks: f32 (default), or bf16: half the bytes, sums rounded
	ShardOptimizer bool    `yaml:"shard_optimizer"` // each MPI rank keeps only its part of the moments (ZeRO stage 1); default false
	Smoothing      float64 `yaml:"label_smoothing"` // share of each target that training spreads over all classes or tokens, 0 to below 1; default 0
	EMA            float64 `yaml:"ema"`             // decay of a moving average of the weights, such as 0.999: it is evaluated beside the weights and written to RUN/ema at the end, 4 bytes more a weight; default (0) none
	Recompute      string  `yaml:"recompute"`       // activations computed again in the backward pass: none (default), light (norms and activation functions), attention or layer; less memory, up to a third more time
	EvalEvery      int     `yaml:"eval_every"`      // steps between evaluations, in addition to those at the start and the end; default (0) a tenth of the steps
	EvalTokens     int     `yaml:"eval_tokens"`     // an evaluation reads only so many of the first validation tokens, or images; default (0) all
	OnNonFinite    string  `yaml:"on_nonfinite"`    // when a loss or gradient is not finite: stop (default), skip (the batch; ten in a row stop the run) or rollback (to the newest good checkpoint, continuing with the data after the batch)
	Patience       int     `yaml:"patience"`        // stop after this many evaluations in a row without a lower validation loss; default (0) never
	MinDelta       float64 `yaml:"min_delta"`       // smallest decrease of the validation loss, in nats, that counts for patience; default 0
	Sample         int     `yaml:"sample"`          // tokens of text generated at the end of the run as a sample; default 60, 0 for none
}

// Default is the configuration of a run file without a train section.
func Default() Config {
	return Config{Batch: 16, Seed: 1, Precision: "f32", Weights: string(param.F32), Recompute: "none", Wire: WireF32, OnNonFinite: Stop, Sample: 60}
}

// DType is the type that weights are kept in.
func (c Config) DType() param.DType {
	t, err := param.ParseDType(c.Weights)
	if err != nil {
		panic("train: DType of a Config that was not validated")
	}
	return t
}

// Resolve fills in the defaults that depend on other values; context is the model's.
func (c Config) Resolve(context int) Config {
	if c.MicroBatch == 0 {
		c.MicroBatch = c.Batch
	}
	if c.Context == 0 {
		c.Context = context
	}
	if c.EvalEvery == 0 {
		c.EvalEvery = max(1, c.Steps/10)
	}
	return c
}

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	switch {
	case !(c.Epochs >= 0 && c.Epochs <= 1e6):
		return fmt.Errorf("train.epochs is %g, expected 0 to 1e6", c.Epochs)
	case c.Epochs > 0 && c.Steps != 0:
		return fmt.Errorf("train.steps is %d and train.epochs %g: give one of them", c.Steps, c.Epochs)
	case c.Epochs > 0:
		c.Steps = 1 // known when the data are
	}
	for _, v := range []struct {
		key       string
		x, lo, hi int
	}{
		{"steps", c.Steps, 1, 1 << 40}, {"batch", c.Batch, 1, 1 << 20}, {"micro_batch", c.MicroBatch, 0, c.Batch},
		{"context", c.Context, 0, 1 << 20}, {"threads", c.Threads, 0, 1024}, {"eval_every", c.EvalEvery, 0, 1 << 40},
		{"eval_tokens", c.EvalTokens, 0, 1 << 40}, {"patience", c.Patience, 0, 1 << 30}, {"sample", c.Sample, 0, 1 << 16},
	} {
		if v.x < v.lo || v.x > v.hi {
			return fmt.Errorf("train.%s is %d, expected %d to %d", v.key, v.x, v.lo, v.hi)
		}
	}
	if c.MicroBatch > 0 && c.Batch%c.MicroBatch != 0 {
		return fmt.Errorf("train.micro_batch is %d, which does not divide train.batch, %d", c.MicroBatch, c.Batch)
	}
	if c.Precision != "f32" && c.Precision != "bf16" {
		return fmt.Errorf("train.precision is %q, expected f32 or bf16", c.Precision)
	}
	if _, err := param.ParseDType(c.Weights); err != nil {
		return fmt.Errorf("train.weights: %w", err)
	}
	if c.OnNonFinite != Stop && c.OnNonFinite != Skip && c.OnNonFinite != Rollback {
		return fmt.Errorf("train.on_nonfinite is %q, expected stop, skip or rollback", c.OnNonFinite)
	}
	if !(c.MinDelta >= 0 && c.MinDelta <= 100) {
		return fmt.Errorf("train.min_delta is %g, expected 0 to 100", c.MinDelta)
	}
	if !(c.Smoothing >= 0 && c.Smoothing < 1) {
		return fmt.Errorf("train.label_smoothing is %g, expected 0 to below 1", c.Smoothing)
	}
	if !(c.EMA >= 0 && c.EMA < 1) {
		return fmt.Errorf("train.ema is %g, expected 0 to below 1", c.EMA)
	}
	if c.Wire != WireF32 && c.Wire != WireBF16 {
		return fmt.Errorf("train.wire is %q, expected f32 or bf16", c.Wire)
	}
	if c.Wire == WireBF16 && c.ShardOptimizer {
		return errors.New("train.wire bf16 does not go with train.shard_optimizer: its parts are summed in float32")
	}
	if _, err := graph.ParseRecompute(c.Recompute); err != nil {
		return fmt.Errorf("train.recompute: %w", err)
	}
	return nil
}
