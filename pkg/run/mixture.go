package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// judge evaluates on the validation data: of a mixture on each of its corpora, whose losses
// it gives as well. ok is false where there are no validation data.
func (j *Job) judge(l *train.Loop, e *train.Evaluator) (v train.Evaluation, parts map[string]float64, ok bool, err error) {
	t, text := j.work.(*workload.Text)
	if !text || len(t.Parts()) == 0 {
		validation := j.work.Validation(l.MicroBatch, l.Config.Context, l.EvalTokens)
		if validation == nil {
			return v, nil, false, nil
		}
		v, err = e.RunOn(j.Ranks, validation)
		return v, nil, true, err
	}
	limit := l.EvalTokens
	if limit > 0 {
		limit = max(1, limit/len(t.Parts()))
	}
	parts = map[string]float64{}
	documents := 0.0
	for _, p := range t.Parts() {
		validation := p.Validation(l.MicroBatch, l.Config.Context, limit)
		if validation == nil {
			continue
		}
		one, err := e.RunOn(j.Ranks, validation)
		if err != nil {
			return v, nil, true, fmt.Errorf("%s: %w", p.Name, err)
		}
		parts[p.Name] = one.Loss
		v.Loss += one.Loss * float64(one.Tokens)
		documents += one.DocumentLoss * float64(one.Documents)
		v.Tokens, v.Documents = v.Tokens+one.Tokens, v.Documents+one.Documents
	}
	if v.Tokens == 0 {
		return v, nil, false, nil
	}
	v.Loss /= float64(v.Tokens)
	v.DocumentLoss = documents / float64(max(1, v.Documents))
	return v, parts, true, nil
}

// partsText says the losses of a mixture's corpora; "" where there is none.
func partsText(parts map[string]float64) string {
	var out []string
	for name, loss := range parts {
		out = append(out, fmt.Sprintf("%s %.4f", name, loss))
	}
	slices.Sort(out)
	if out == nil {
		return ""
	}
	return "; " + strings.Join(out, ", ")
}
