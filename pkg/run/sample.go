package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"

	"github.com/ecospa/ecospa/pkg/infer"
)

// sample lets the model go on from the first words of the validation text; empty
// where there is none, and for images.
func (j *Job) sample() (string, error) {
	t := j.text()
	if t == nil || j.cfg.Train.Sample == 0 || j.frozen() { // adapters are not in the weights
		return "", nil
	}
	ids, err := t.Opening(min(8, j.bundle.Model.Context()-1))
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return j.write(ids)
}

// write lets the model go on from ids.
func (j *Job) write(ids []int32) (string, error) {
	b := j.bundle
	o := infer.GenerateOptions{
		Prompt: ids, Sampler: infer.SamplerConfig{Temperature: 0.7, TopP: 0.95, Seed: j.cfg.Train.Seed},
		Tokens: min(j.cfg.Train.Sample, b.Model.Context()-len(ids)), Ends: b.Ends, Never: b.Unused(), Threads: j.pool.Threads(),
	}
	if len(o.Ends) == 0 && b.Tokenizer.EOS() >= 0 {
		o.Ends = []int32{b.Tokenizer.EOS()}
	}
	more, err := infer.Generate(context.Background(), b.Model, b.Set, o, nil)
	if err != nil {
		return "", err
	}
	text, err := b.Tokenizer.Decode(nil, append(ids, more...))
	return string(text), err
}

// checkSamples reports what logging.sample_every does not go with.
func (j *Job) checkSamples() error {
	switch c := j.cfg.Logging; {
	case c.SampleEvery == 0:
		return nil
	case j.images():
		return fault.Usage(errors.New("logging.sample_every is for text models, this run trains an image model"))
	case j.cfg.LoRA.Rank > 0:
		return fault.Usage(fmt.Errorf("logging.sample_every cannot be combined with lora.rank: samples during training would not use the adapters"))
	case j.cfg.Train.Sample == 0:
		return fault.Usage(errors.New("logging.sample_every is set, but train.sample, the number of tokens per sample, is 0"))
	}
	return nil
}

// sampleStep lets the model write when it is time, into the step's line of the metrics.
func (j *Job) sampleStep(l *train.Loop) error {
	if c := j.cfg.Logging; c.SampleEvery == 0 || l.Step%c.SampleEvery != 0 && l.Step != l.Steps {
		return nil
	}
	if len(j.cfg.Logging.Prompts) == 0 {
		text, err := j.sample()
		if err == nil && text != "" {
			l.Last.Samples = []string{shortened(text)}
		}
		return err
	}
	l.Last.Samples = nil
	for _, p := range j.cfg.Logging.Prompts {
		ids := tokenizer.Opening(j.bundle.Tokenizer, p)
		if room := j.bundle.Model.Context() - 1; len(ids) == 0 || len(ids) > room {
			return fmt.Errorf("logging.prompts: %q has %d tokens, expected 1 to %d", p, len(ids), room)
		}
		text, err := j.write(ids)
		if err != nil {
			return err
		}
		l.Last.Samples = append(l.Last.Samples, shortened(text))
	}
	return nil
}

// sampleBytes is how much of a text a line of the metrics keeps.
const sampleBytes = 2000

func shortened(text string) string {
	if len(text) <= sampleBytes {
		return text
	}
	return strings.ToValidUTF8(text[:sampleBytes], "") + " ..."
}
