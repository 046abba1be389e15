package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ecospa/ecospa/configs"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
)

// Request is a run file, and what is given over it.
type Request struct {
	Config  string   // run file, or the name of an example; "" is the run's own, or a short fine-tuning
	Set     []string // key.path=value overrides
	Data    string   // over data.path
	Out     string   // over out
	From    string   // over from
	Steps   int      // over train.steps; 0 is not given
	Threads int      // over train.threads; 0 is not given
	Dense   bool     // no pruning
	Mode    Mode

	Finetune      bool // the run begins with a model
	Merge         bool // Options.Merge
	NewClassifier bool // over new_classifier
	Strict        bool // unknown keys of the config.json of a model that the run file names are an error
}

// Own reports whether the interrupted run's own file is used.
func (r Request) Own() bool {
	return r.Config == "" && (r.Mode == Continue || r.Mode == Auto && Exists(r.Out))
}

// File is the run file with what is given over it.
func (r Request) File() (c config.Run, err error) {
	switch {
	case r.Config != "":
		c, err = load(r.Config, r.Set)
	case r.Own():
		c, err = Config(r.Out)
	default: // a short run at a fine-tuning rate
		c, err = config.Parse([]byte("train: {batch: 8}\noptim: {lr: 2e-4}\n"), r.Set)
		if c.Train.Steps == 0 && c.Train.Epochs == 0 {
			c.Train.Steps = 200
		}
	}
	if err != nil {
		return c, err
	}
	for to, value := range map[*string]string{&c.Data.Path: r.Data, &c.Out: r.Out, &c.From: r.From} {
		if value != "" {
			*to = value
		}
	}
	if r.Data != "" {
		c.Data.Synthetic = ""
	}
	if r.Steps > 0 {
		c.Train.Steps, c.Train.Epochs = r.Steps, 0
	}
	if r.Threads > 0 {
		c.Train.Threads = r.Threads
	}
	if r.Dense {
		c.Dense()
	}
	c.NewClassifier = c.NewClassifier || r.NewClassifier
	if err := r.fits(c); err != nil || !r.Strict || r.From != "" || c.From == "" || r.Mode != New {
		return c, err
	}
	return c, bundle.CheckConfig(c.From)
}

// fits refuses a run file that is for the other kind of run.
func (r Request) fits(c config.Run) error {
	switch {
	case !r.Finetune && (c.From != "" || c.LoRA.Enabled() || c.Teacher.Enabled() || c.Preference.Enabled()):
		return fault.Usage(errors.New("from, lora, teacher and preference are for ecospa finetune: pretrain trains a new model"))
	case !r.Finetune:
		return nil
	case c.From == "":
		return fault.Usage(errors.New("from is empty, expected the model directory to start from (or give --from); pretrain trains a new model"))
	case r.Merge && !c.LoRA.Enabled():
		return fault.Usage(errors.New("--merge applies only with adapters: give lora.rank"))
	}
	return nil
}

// load loads a run file, or the example of that name where there is no such file.
func load(path string, set []string) (config.Run, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(path, `/\.`) {
		text, err := configs.Read(path)
		if err != nil {
			return config.Run{}, fault.BadInput(fmt.Errorf("there is no file %s, and %w", path, err))
		}
		return config.Parse(text, set)
	}
	return config.Load(path, set)
}
