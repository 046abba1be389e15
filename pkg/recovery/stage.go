package recovery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Net is a model and its parameters.
type Net struct {
	Model model.Model
	Set   *param.Set
}

// Stage is one recovery. Its fields are set before Run.
type Stage struct {
	Options
	Parent Net
	Child  Net // what is trained, in place
	Pool   *kernel.Pool
	// Next is the next batch of Options.Batch sequences of Options.Context tokens.
	Next func() (data.Batch, error)
	// Held is the held-out batches, of the same size; nil measures nothing, and the
	// last weights are the result.
	Held func() iter.Seq2[data.Batch, error]
	// Documents says that batches, held-out ones too, are packed of documents
	// (data.Batch.Packed).
	Documents bool
	// Progress is told after every step; may be nil.
	Progress func(Progress)
}

// Progress is where a recovery stands.
type Progress struct {
	Step, Steps int // Steps is 0 while it is measured how many fit
	Tokens      int64
	Elapsed     time.Duration
	KL          float64 // mean divergence of the step, nats a token
	Held        float64 // held-out loss where it was just measured, else NaN
}

// Point is a measurement on held-out batches.
type Point struct {
	Step    int     `json:"step"`
	Tokens  int64   `json:"tokens"`
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"loss"` // nats a token
}

// Result is what a recovery did.
type Result struct {
	Steps   int     `json:"steps"`
	Tokens  int64   `json:"tokens"`
	Seconds float64 `json:"seconds"`
	Parent  float64 `json:"parent_loss"` // the parent's held-out loss
	Points  []Point `json:"points"`      // before the first step, and on the way
	Best    Point   `json:"best"`        // whose weights the child has now
	Stopped bool    `json:"stopped_early"`
}

// ErrInterrupted is returned when the context ended; the child has the best weights
// that were measured so far.
var ErrInterrupted = errors.New("recovery: interrupted")

// Run trains the child. When it returns, the child has the weights of the best
// held-out loss.
func (s *Stage) Run(ctx context.Context) (*Result, error) {
	s.Options = s.Resolve()
	if err := s.check(); err != nil {
		return nil, err
	}
	if p, c := s.Parent.Model.Vocab(), s.Child.Model.Vocab(); p != c {
		return nil, fmt.Errorf("recovery: the parent has a vocabulary of %d, the child %d", p, c)
	}
	r, err := newRunner(s)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.begin(); err != nil {
		return nil, err
	}
	for r.step < r.steps || r.steps == 0 {
		if ctx.Err() != nil {
			return r.finish(), ErrInterrupted
		}
		if err := r.next(); err != nil {
			r.finish()
			return nil, err
		}
		if r.result.Stopped {
			break
		}
	}
	return r.finish(), nil
}

// runner is a Stage under way.
type runner struct {
	*Stage
	parent, child, eval *graph.Machine
	sites               []string
	grads               *param.Slab
	best                *param.Slab // weights of the best evaluation
	opt                 optim.Interface
	optConfig           optim.Config
	scale               func(*param.Param) float64
	step, steps         int
	start               time.Time
	bad                 int // evaluations since the best
	result              Result
}

func (r *runner) begin() error {
	r.start = time.Now()
	r.result.Parent, r.result.Best.Loss = math.NaN(), math.NaN()
	if r.Held != nil {
		var err error
		if r.result.Parent, err = r.lossOf(r.Parent); err != nil {
			return err
		}
		if err := r.measure(); err != nil {
			return err
		}
	}
	r.start = time.Now()
	if r.Tokens > 0 {
		r.plan(r.Options.steps())
	}
	return nil
}

// plan fixes the number of steps.
func (r *runner) plan(steps int) {
	r.steps = steps
	r.optConfig = r.optimizer(steps)
}

// trialSteps is how many steps say how many fit into a budget of time.
const trialSteps = 5

// next makes one step.
func (r *runner) next() error {
	if r.steps == 0 && r.step == trialSteps {
		each := time.Since(r.start) / trialSteps
		r.plan(max(r.step+1, int(r.Time/max(1, each))))
	}
	b, err := r.Next()
	if err != nil {
		return err
	}
	kl, err := r.gradients(b)
	if err != nil {
		return err
	}
	norm := optim.GradNorm(r.Pool, r.grads)
	if math.IsNaN(kl) || math.IsInf(kl, 0) || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return fmt.Errorf("recovery: step %d: the loss or its gradient is not finite; a lower rate than %g may help", r.step+1, r.Rate)
	}
	r.step++
	c, all := r.optConfig, r.steps
	if all == 0 { // the first steps of a budget of time are part of its warm-up
		c, all = r.optimizer(500), 500
	}
	r.opt.Update(optim.Step{Pool: r.Pool, Set: r.Child.Set, Grads: r.grads, LR: c.Rate(r.step, all), Norm: norm, Scale: r.scale})
	p := Progress{Step: r.step, Steps: r.steps, Tokens: r.tokens(), Elapsed: time.Since(r.start), KL: kl, Held: math.NaN()}
	if r.Held != nil && r.steps > 0 && (r.step == r.steps || r.step*r.Evaluations/r.steps != (r.step-1)*r.Evaluations/r.steps) {
		if err := r.measure(); err != nil {
			return err
		}
		p.Held = r.result.Points[len(r.result.Points)-1].Loss
	}
	if r.Progress != nil {
		r.Progress(p)
	}
	return nil
}

func (r *runner) tokens() int64 { return int64(r.step) * int64(r.Batch*r.Context) }

// measure takes the held-out loss, and keeps the weights where it is the best.
func (r *runner) measure() error {
	loss, err := heldLoss(r.eval, r.Held())
	if err != nil {
		return err
	}
	p := Point{Step: r.step, Tokens: r.tokens(), Seconds: time.Since(r.start).Seconds(), Loss: loss}
	r.result.Points = append(r.result.Points, p)
	if !(loss >= r.result.Best.Loss) {
		r.result.Best, r.bad = p, 0
		copy(r.best.Data, r.Child.Set.Weights.Data)
		return nil
	}
	if 2*r.step > r.steps { // before, the rate is high: it often gets worse first
		r.bad++
	}
	r.result.Stopped = r.bad >= r.Patience && r.step < r.steps
	return nil
}

// finish gives the child its best weights.
func (r *runner) finish() *Result {
	r.result.Steps, r.result.Tokens, r.result.Seconds = r.step, r.tokens(), time.Since(r.start).Seconds()
	if r.Held != nil && r.result.Best.Step != r.step {
		copy(r.Child.Set.Weights.Data, r.best.Data)
	}
	return &r.result
}
