package train

import "fmt"

// Logging is the logging section of a run file: what is kept of a run beside its metrics.
type Logging struct {
	TensorBoard bool     `yaml:"tensorboard"`  // write a TensorBoard event file to RUN/tensorboard; default false
	SampleEvery int      `yaml:"sample_every"` // steps between sample texts from the model, saved in metrics.jsonl and the event file; default (0) none
	LayersEvery int      `yaml:"layers_every"` // steps between measurements of each layer's gradient norm and update ratio (change by weight, L2), saved in metrics.jsonl and the event file; a measured step takes a copy of the weights, 4 bytes each, and three passes over them; default (0) none
	Prompts     []string `yaml:"prompts"`      // prompts of the sample texts; default the first words of the validation text
}

// Validate reports the first value that makes no sense, by key.
func (c Logging) Validate() error {
	if c.SampleEvery < 0 {
		return fmt.Errorf("logging.sample_every is %d, expected 0 or more steps", c.SampleEvery)
	}
	if c.LayersEvery < 0 {
		return fmt.Errorf("logging.layers_every is %d, expected 0 or more steps", c.LayersEvery)
	}
	if len(c.Prompts) > 0 && c.SampleEvery == 0 {
		return fmt.Errorf("logging.prompts has %d texts and logging.sample_every is 0: give the steps between samples", len(c.Prompts))
	}
	if len(c.Prompts) > 20 {
		return fmt.Errorf("logging.prompts has %d texts, expected at most 20", len(c.Prompts))
	}
	return nil
}
