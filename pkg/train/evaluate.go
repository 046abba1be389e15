package train

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Evaluation is what a pass over held-out data showed.
type Evaluation = prune.Evaluation

// Evaluator measures the loss. Token streams are measured by the project's
// protocol (docs/method.md): windows of T+1 tokens with
// stride T, so that every token but the first is predicted exactly once; documents each by
// itself, packed into sequences. Images are measured by the logits that inference gives.
type Evaluator struct {
	model   model.Model
	set     *param.Set
	pool    *kernel.Pool
	shape   shape
	machine *graph.Machine
	classes int // 0 for text
	// Progress is called after every batch with the targets that batches have had so far, of
	// all ranks and padding included; may be nil.
	Progress func(targets int64)
}

// NewEvaluator lowers the model for evaluation: batch windows of context
// tokens, or images, at a time. It is valid until the parameters change shape.
func NewEvaluator(m model.Model, set *param.Set, pool *kernel.Pool, batch, context int, bf16 bool) (*Evaluator, error) {
	return newEvaluator(m, set, pool, shape{batch: batch, context: context, bf16: bf16})
}

// NewEvaluator is an evaluator of what the loop trains, adapters included, with
// batches of its micro-batch and context.
func (l *Loop) NewEvaluator() (*Evaluator, error) {
	return newEvaluator(l.Model, l.Set, l.Pool, shape{batch: l.MicroBatch, context: l.Config.Context, bf16: l.Precision == "bf16", adapters: l.adapters, documents: l.documents(), preference: l.preference})
}

func newEvaluator(m model.Model, set *param.Set, pool *kernel.Pool, s shape) (e *Evaluator, err error) {
	e = &Evaluator{model: m, set: set, pool: pool, shape: s}
	if _, ok := m.(model.Classifier); !ok {
		e.machine, err = lower(m, set, pool, s)
		return e, err
	}
	b := graph.NewBuilder(set, graph.BuildOptions{BF16: s.bf16})
	if s.adapters != nil {
		b.AdaptLinear(s.adapters.Set, s.adapters.Scale)
	}
	m.Decode(b, s.batch, s.context, false)
	e.classes = m.Vocab()
	e.machine, err = b.Lower(graph.LowerOptions{Pool: pool})
	return e, err
}

// Close releases the evaluator's memory.
func (e *Evaluator) Close() error { return e.machine.Close() }

// fit lowers the model anew where batches are of the other kind: packed of documents, or
// streams.
func (e *Evaluator) fit(packed bool) error {
	if e.classes > 0 || packed == e.shape.documents {
		return nil
	}
	e.shape.documents = packed
	old := e.machine
	var err error
	if e.machine, err = lower(e.model, e.set, e.pool, e.shape); err != nil {
		e.machine = old
		return err
	}
	return old.Close()
}

// Run evaluates batches, of the evaluator's size each; negative targets do not count.
func (e *Evaluator) Run(batches iter.Seq2[data.Batch, error]) (Evaluation, error) {
	return e.RunOn(dist.Alone{}, batches)
}

// forward runs a batch and returns how long its pass took.
func (e *Evaluator) forward(b data.Batch) (took time.Duration, err error) {
	if err := e.fit(b.Packed()); err != nil {
		return 0, err
	}
	if e.classes > 0 {
		err = b.FeedInputs(e.machine)
	} else {
		err = b.Feed(e.machine, 1)
	}
	start := time.Now()
	if err == nil {
		err = e.machine.RunAll()
	}
	return time.Since(start), err
}

// RunOn is Run with the batches dealt out to ranks; all get the result.
func (e *Evaluator) RunOn(g dist.Group, batches iter.Seq2[data.Batch, error]) (Evaluation, error) {
	t := tally{}
	per, along, judged := documents{}, positions{}, rewards{}
	n, targets, rates := -1, int64(0), []float64(nil)
	for b, err := range batches {
		if err != nil {
			return Evaluation{}, err
		}
		targets += int64(len(b.Targets))
		if n++; n%g.Size() != g.Rank() {
			continue
		}
		took, err := e.forward(b)
		if err != nil {
			return Evaluation{}, fmt.Errorf("evaluate: %w", err)
		}
		rates = append(rates, float64(len(b.Targets))/took.Seconds())
		switch {
		case e.classes > 0:
			t.images(e.machine.Output("logits"), b.Targets, e.classes)
		case e.shape.preference != nil:
			judged.add(*e.shape.preference, e.machine.Output(graph.RewardsOutput), b)
		default:
			t.tokens(e.machine.Output("nll"), b.Targets)
			per.add(e.machine.Output("nll"), b)
			along.add(e.machine.Output("nll"), b)
		}
		if e.Progress != nil {
			e.Progress(targets)
		}
	}
	if err := g.SumFloat64(t[:]); err != nil {
		return Evaluation{}, err
	}
	if err := per.sum(g); err != nil {
		return Evaluation{}, err
	}
	if e.shape.preference != nil {
		return judged.evaluation(g, rates)
	}
	predicted := t[counted]
	if predicted == 0 {
		if e.classes > 0 {
			return Evaluation{}, errors.New("evaluate: no image")
		}
		return Evaluation{}, errors.New("evaluate: no token to predict, expected a text of at least 2 tokens")
	}
	v := Evaluation{Loss: t[nats] / predicted, Tokens: int(predicted), Top1: t[firsts] / predicted, Top5: t[fifths] / predicted, Rates: rates}
	v.Documents, v.DocumentLoss = per.mean()
	var err error
	if e.classes == 0 {
		v.Positions, err = along.means(g)
	}
	return v, err
}

// tally is the sums of an evaluation.
type tally [4]float64

const (
	nats    = iota // summed loss
	counted        // targets
	firsts         // images whose class is the likeliest
	fifths         // or among the five likeliest
)

func (t *tally) tokens(nll []float32, targets []int32) {
	for i, x := range nll {
		if targets[i] >= 0 {
			t[nats] += float64(x)
			t[counted]++
		}
	}
}

func (t *tally) images(logits []float32, targets []int32, classes int) {
	for i, class := range targets {
		if class < 0 {
			continue
		}
		nll, rank := judge(logits[i*classes:][:classes], int(class))
		t[nats] += nll
		t[counted]++
		if rank < 1 {
			t[firsts]++
		}
		if rank < 5 {
			t[fifths]++
		}
	}
}

// judge is the negative log likelihood of a class, in nats, and how many classes
// are likelier (or as likely and before it). Without finite logits nothing is right.
func judge(logits []float32, class int) (nll float64, rank int) {
	top := math.Inf(-1)
	for _, x := range logits {
		top = math.Max(top, float64(x))
	}
	sum := 0.0
	own := logits[class]
	for i, x := range logits {
		sum += math.Exp(float64(x) - top)
		if !(x < own) && i != class && (x != own || i < class) {
			rank++
		}
	}
	return top + math.Log(sum) - float64(own), rank
}
