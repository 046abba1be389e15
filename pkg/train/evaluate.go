package train

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/ecospa/ecospa/pkg/dist"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Evaluation is what a pass over held-out text showed.
type Evaluation struct {
	Loss   float64 // mean negative log likelihood, nats per predicted token
	Tokens int     // predicted tokens
}

// Perplexity is exp of the loss.
func (e Evaluation) Perplexity() float64 { return math.Exp(e.Loss) }

// Evaluator measures the loss on token streams by the project's protocol
// (ECOSPA.md, "What is measured, and how"): windows of T+1 tokens with stride
// T, so that every token but the first is predicted exactly once.
type Evaluator struct {
	machine *graph.Machine
}

// NewEvaluator lowers the model for evaluation: batch windows of context
// tokens at a time. It is valid until the parameters change shape.
func NewEvaluator(m model.Model, set *param.Set, pool *kernel.Pool, batch, context int, bf16 bool) (*Evaluator, error) {
	machine, err := lower(m, set, pool, shape{batch: batch, context: context, bf16: bf16})
	if err != nil {
		return nil, err
	}
	return &Evaluator{machine}, nil
}

// Close releases the evaluator's memory.
func (e *Evaluator) Close() error { return e.machine.Close() }

// Run evaluates windows of ids and targets [batch·context]; negative targets do
// not count.
func (e *Evaluator) Run(windows iter.Seq2[[]int32, []int32]) (Evaluation, error) {
	return e.RunOn(dist.Alone{}, windows)
}

// RunOn is Run with the batches of windows dealt out to ranks; all get the result.
func (e *Evaluator) RunOn(g dist.Group, windows iter.Seq2[[]int32, []int32]) (Evaluation, error) {
	var out Evaluation
	sum, n := 0.0, -1
	for ids, targets := range windows {
		if n++; n%g.Size() != g.Rank() {
			continue
		}
		if err := feed(e.machine, ids, targets, 1); err != nil {
			return out, fmt.Errorf("evaluate: %w", err)
		}
		if err := e.machine.RunAll(); err != nil {
			return out, fmt.Errorf("evaluate: %w", err)
		}
		for i, nll := range e.machine.Output("nll") {
			if targets[i] >= 0 {
				sum += float64(nll)
				out.Tokens++
			}
		}
	}
	total := []float64{sum, float64(out.Tokens)}
	if err := g.SumFloat64(total); err != nil {
		return out, err
	}
	sum, out.Tokens = total[0], int(total[1])
	if out.Tokens == 0 {
		return out, errors.New("evaluate: no token to predict, expected a text of at least 2 tokens")
	}
	out.Loss = sum / float64(out.Tokens)
	return out, nil
}
