package run

import (
	"context"

	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/workload"
)

// sample lets the model go on from the first words of the validation text; empty
// where there is none, and for images.
func (j *Job) sample() (string, error) {
	t, ok := j.work.(*workload.Text)
	if !ok || j.cfg.Train.Sample == 0 || j.frozen() { // adapters are not in the weights
		return "", nil
	}
	ids, err := t.Opening(min(8, j.bundle.Model.Context()-1))
	if err != nil || len(ids) == 0 {
		return "", err
	}
	draw, err := infer.NewSampler(infer.SamplerConfig{Temperature: 0.7, TopP: 0.95, Seed: j.cfg.Train.Seed})
	if err != nil {
		return "", err
	}
	b := j.bundle
	o := infer.GenerateOptions{
		Tokens: min(j.cfg.Train.Sample, b.Model.Context()-len(ids)), Ends: b.Ends, Never: b.Unused(), Threads: j.pool.Threads(),
	}
	if len(o.Ends) == 0 && b.Tokenizer.EOS() >= 0 {
		o.Ends = []int32{b.Tokenizer.EOS()}
	}
	more, err := infer.Generate(context.Background(), b.Model, b.Set, ids, draw, o, nil)
	if err != nil {
		return "", err
	}
	text, err := b.Tokenizer.Decode(nil, append(ids, more...))
	return string(text), err
}
