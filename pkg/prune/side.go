package prune

import (
	"fmt"
	"math"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// Evaluation is what a pass over held-out data showed.
type Evaluation struct {
	Loss   float64 // mean negative log likelihood, nats per predicted token or image
	Tokens int     // predicted tokens, or images
	// Top1 and Top5 are the shares of images whose class is the likeliest, or among
	// the five likeliest; of equally likely classes the first counts. 0 for text.
	Top1, Top5 float64
	// Documents is how many documents were told apart, 0 for a stream, and DocumentLoss the
	// mean over them of each one's own loss, nats per predicted token.
	Documents    int
	DocumentLoss float64
	// Positions is the loss of equal stretches of the context, from its beginning as far as
	// anything was predicted, nats per predicted token; nil for images.
	Positions []float64
	// Rewards are of pairs of answers, which Loss and Tokens then count; nil for others.
	Rewards *Rewards
	// Rates is tokens, or images, a second of each batch of this rank, in their order.
	Rates []float64
}

// Rewards is how pairs of a chosen and a rejected answer are judged: means over the pairs.
type Rewards struct {
	Chosen   float64 `json:"chosen"`   // reward of the chosen answers
	Rejected float64 `json:"rejected"` // reward of the rejected ones
	Margin   float64 `json:"margin"`   // by which the chosen answer's is larger
	Accuracy float64 `json:"accuracy"` // share of pairs in which it is
}

// Rate is the median of the rates; without any it is what seconds took.
func (s Side) Rate() float64 {
	if len(s.Rates) == 0 {
		return float64(s.Tokens) / s.Seconds
	}
	return units.Median(s.Rates)
}

// Perplexity is exp of the loss.
func (e Evaluation) Perplexity() float64 { return math.Exp(e.Loss) }

// Side is a model before or after.
type Side struct {
	Params int
	FLOPs  float64 // of the matrix products of a forward pass, a token
	Evaluation
	Seconds float64 // of the evaluation
}

// Side measures the model as it is now. It needs Calibration, of its Data only Context,
// and Measure.
func (p *Job) Side() (Side, error) {
	s := Side{Params: p.Set.Count()}
	if p.Measure == nil {
		return s, nil
	}
	b := graph.NewBuilder(p.Set, graph.BuildOptions{})
	p.Model.Decode(b, 1, p.Data.Context, true)
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return s, err
	}
	s.FLOPs = float64(plan.FLOPs()) / float64(p.Data.Context)
	start := time.Now()
	s.Evaluation, err = p.Measure()
	s.Seconds = time.Since(start).Seconds()
	return s, err
}

// Footprints are the planned memory of a model of some shapes in both of its uses.
type Footprints struct{ Inference, Training coupled.Footprint }

// Of is the footprint of a use, inference or training.
func (f *Footprints) Of(use string) (coupled.Footprint, error) {
	switch use {
	case "inference":
		return f.Inference, nil
	case "training":
		return f.Training, nil
	}
	return nil, fault.Usage(fmt.Errorf("is %q, expected inference or training", use))
}

// PlannedMemory is the planned memory of a model, in bytes.
type PlannedMemory struct {
	Inference int64 `json:"inference"` // weights, keys and values, one pass
	Training  int64 `json:"training"`  // weights, gradients, moments, activations
}

// of is the planned memory of shapes, nothing without footprints.
func (f *Footprints) of(shapes *param.Set) (m PlannedMemory, err error) {
	if f == nil {
		return m, nil
	}
	if m.Inference, err = f.Inference(shapes); err != nil {
		return m, err
	}
	m.Training, err = f.Training(shapes)
	return m, err
}
