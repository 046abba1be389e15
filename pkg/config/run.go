package config

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"gopkg.in/yaml.v3"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// Run is a run file: one section a concern, each owned by the package that uses it.
type Run struct {
	Model      model.Sizes       `yaml:"model"`      // family and sizes, or a size by name
	Data       data.Config       `yaml:"data"`       // what is learned
	Tokenizer  tokenizer.Config  `yaml:"tokenizer"`  // text to token ids
	Train      train.Config      `yaml:"train"`      // steps and batches
	Optim      optim.Config      `yaml:"optim"`      // AdamW and its learning rate
	Prune      coupled.Config    `yaml:"prune"`      // coupled sparsity while training; without a target nothing is pruned
	Checkpoint checkpoint.Policy `yaml:"checkpoint"` // when the run is saved and what is kept
	From       string            `yaml:"from"`       // model or run directory whose weights finetune starts from, instead of model and tokenizer
	// finetune, of an image model: replace its classifier with a new one for the classes of the data
	NewClassifier bool          `yaml:"new_classifier"`
	LoRA          model.LoRA    `yaml:"lora"`    // finetune: train low-rank adapters beside frozen weights; without a rank all weights are trained
	Teacher       train.Teacher `yaml:"teacher"` // learn from a model's probabilities as well: finetune from a model, runs that prune from a copy; without either from the data alone
	// finetune: learn from pairs of a chosen and a rejected answer (keys chosen and rejected); without a loss from texts
	Preference train.Preference `yaml:"preference"`
	Logging    train.Logging    `yaml:"logging"` // what is kept of the run beside its metrics
	Out        string           `yaml:"out"`     // the run directory
}

// Default is the run file that says nothing.
func Default() Run {
	return Run{
		Data: data.DefaultConfig(), Tokenizer: tokenizer.DefaultConfig(),
		Train: train.Default(), Optim: optim.Default(), Prune: coupled.DefaultConfig(),
		Checkpoint: checkpoint.DefaultPolicy(),
		LoRA:       model.DefaultLoRA(), Teacher: train.DefaultTeacher(), Preference: train.DefaultPreference(),
	}
}

// Parse decodes a run file over the defaults and applies key.path=value
// overrides, strictly.
func Parse(text []byte, overrides []string) (Run, error) {
	r := Default()
	err := DecodeWith(text, overrides, &r)
	return r, err
}

// readFile reads a file as far as it may be long, and one byte further.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Load is Parse of a file.
func Load(path string, overrides []string) (Run, error) {
	text, err := readFile(path)
	if err != nil {
		return Run{}, err
	}
	r, err := Parse(text, overrides)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Validate reports the first section that makes no sense, by key.
func (r Run) Validate() error {
	if r.From != "" {
		if r.Model != (model.Sizes{}) || r.Tokenizer != tokenizer.DefaultConfig() {
			return fmt.Errorf("%w: from is %q, whose model and tokenizer are used: the sections model and tokenizer do not apply", ErrConfig, r.From)
		}
		r.Model = model.Sizes{Name: model.Names()[0]} // not looked at
	}
	switch {
	case r.NewClassifier && r.From == "":
		return fmt.Errorf("%w: new_classifier is true without from: a new model has a new classifier anyway", ErrConfig)
	case r.NewClassifier && r.LoRA.Enabled():
		return fmt.Errorf("%w: new_classifier is true with lora.rank %d, which freezes weights: a new classifier must be trained", ErrConfig, r.LoRA.Rank)
	case r.LoRA.Enabled() && r.Prune.Enabled() && r.Prune.Calibration > 0:
		return fmt.Errorf("%w: prune.calibration changes weights that lora freezes: leave it out, or prune before", ErrConfig)
	}
	if err := r.manner(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	images := func() error {
		if r.From != "" { // what it reads is known when it is opened
			return nil
		}
		return r.Data.CheckImages(r.Model.Images())
	}
	for _, check := range []func() error{
		r.Model.Validate, r.Data.Validate, images, r.Tokenizer.Validate, r.Train.Validate,
		r.Optim.Validate, r.Prune.Validate, r.Checkpoint.Validate, r.LoRA.Validate, r.Teacher.Validate, r.Preference.Validate, r.preferred, r.Logging.Validate,
	} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if r.Out == "" {
		return fmt.Errorf("%w: out is empty, expected the run directory (or give --out)", ErrConfig)
	}
	return nil
}

// preferred reports what does not go with learning from pairs of answers.
func (r Run) preferred() error {
	t := r.Train
	switch {
	case !r.Preference.Enabled():
		return nil
	case r.Teacher.Enabled():
		return fmt.Errorf("preference.loss is %s with teacher.model %s: expected one of them", r.Preference.Loss, r.Teacher.Model)
	case t.Smoothing != 0:
		return fmt.Errorf("train.label_smoothing is %g with preference.loss %s, which has no targets to smooth", t.Smoothing, r.Preference.Loss)
	case t.Batch%2 != 0 || t.MicroBatch%2 != 0:
		return fmt.Errorf("train.batch is %d and train.micro_batch %d sequences: expected even numbers, because preference.loss %s compares two at a time", t.Batch, t.MicroBatch, r.Preference.Loss)
	}
	return nil
}

// manner reports sections that do not go together in how weights are kept and updated.
func (r Run) manner() error {
	t, in := r.Train, r.Optim.InBackward
	kept, err := param.ParseDType(t.Weights)
	if err != nil {
		return nil // Train.Validate says it
	}
	switch {
	case r.Teacher.Copy && (!r.Prune.Enabled() || r.LoRA.Enabled() || r.Preference.Enabled() || kept != param.F32):
		return fmt.Errorf("teacher.copy is true, which needs a run that prunes, with train.weights f32 and without lora and preference: found prune %t, %s, lora.rank %d, preference.loss %q", r.Prune.Enabled(), t.Weights, r.LoRA.Rank, r.Preference.Loss)
	case in && r.LoRA.Enabled():
		return fmt.Errorf("optim.in_backward is true with lora.rank %d: the gradients of adapters are small, leave it out", r.LoRA.Rank)
	case t.EMA > 0 && (r.LoRA.Enabled() || kept != param.F32):
		return fmt.Errorf("train.ema is %g with lora.rank %d and train.weights %s: it averages float32 weights that are trained", t.EMA, r.LoRA.Rank, t.Weights)
	case r.Logging.LayersEvery > 0 && (in || kept != param.F32 && !r.LoRA.Enabled()):
		return fmt.Errorf("logging.layers_every is %d with optim.in_backward %t and train.weights %s: it needs the gradients of all float32 weights at once", r.Logging.LayersEvery, in, t.Weights)
	case in && t.OnNonFinite == train.Skip:
		return fmt.Errorf("optim.in_backward is true with train.on_nonfinite skip: a step that has begun cannot be left out; expected stop or rollback")
	case in && t.ShardOptimizer:
		return fmt.Errorf("optim.in_backward is true with train.shard_optimizer: every rank updates every block")
	case kept == param.Q8 && !r.LoRA.Enabled():
		return fmt.Errorf("train.weights is q8_0, which cannot be trained: expected f32 or bf16, or lora.rank for adapters beside the weights")
	case kept == param.BF16 && t.ShardOptimizer && !r.LoRA.Enabled():
		return fmt.Errorf("train.weights is bf16 with train.shard_optimizer: ranks gather float32 weights")
	case kept != param.F32 && r.LoRA.Enabled() && r.Prune.Enabled():
		return fmt.Errorf("train.weights is %s with lora.rank %d and pruning, which changes the frozen weights: expected f32, or prune before", t.Weights, r.LoRA.Rank)
	case kept != param.F32 && r.NewClassifier:
		return fmt.Errorf("train.weights is %s with new_classifier: expected f32", t.Weights)
	}
	return nil
}

// Dense makes the run one without pruning: no target is left, and no copy to learn from.
func (r *Run) Dense() {
	r.Prune.Target, r.Prune.TargetMemory, r.Prune.Ratio, r.Teacher.Copy = "", "", nil, false
}

// Encode is the run file with every value written out.
func (r Run) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// Changes lists the keys whose values differ between two run files, by path.
func Changes(a, b Run) ([]Change, error) {
	flat := func(r Run) (map[string]string, error) {
		text, err := r.Encode()
		if err != nil {
			return nil, err
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		out := map[string]string{}
		flatten(doc.Content[0], "", out)
		return out, nil
	}
	fa, err := flat(a)
	if err != nil {
		return nil, err
	}
	fb, err := flat(b)
	if err != nil {
		return nil, err
	}
	return differing(fa, fb), nil
}
