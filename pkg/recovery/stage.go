package recovery

import (
	"context"
	"errors"
	"fmt"
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
	// Batches are of Options.Batch sequences of Options.Context tokens; Short of
	// Options.Windows() times as many of as many times fewer tokens, nil where that is 1.
	Batches, Short Batches
	// Held makes the judge of the parent or the child on held-out batches; nil measures
	// nothing, and the last weights are the result.
	Held func(Net) (Judge, error)
	// Progress is told after every step, and before the first one; may be nil.
	Progress func(Progress)

	// Save keeps a state every SaveEvery and when the context ends; the child has the
	// best weights so far while it runs. nil keeps none.
	Save      func(State, []optim.NamedSlab) error
	SaveEvery time.Duration // default DefaultSaveEvery
	// From, where it is not nil, is the state to go on from; Restore fills its slabs.
	From    *State
	Restore func([]optim.NamedSlab) error
}

// DefaultSaveEvery is how often a recovery is saved when nobody says.
const DefaultSaveEvery = 2 * time.Minute

// Progress is where a recovery stands.
type Progress struct {
	Step, Steps int // Step is 0 before the first one
	Tokens      int64
	Elapsed     time.Duration
	Left        time.Duration // estimated
	Memory      int64         // bytes that both models, their machines and the optimizer take
	KL          float64       // mean divergence of the step, nats a token
	Held        float64       // held-out loss where it was just measured, else NaN
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
	Rate    float64 `json:"rate"`        // the highest, as a share of each tensor's root mean square
	Parent  float64 `json:"parent_loss"` // the parent's held-out loss
	Points  []Point `json:"points"`      // before the first step, and on the way
	Best    Point   `json:"best"`        // whose weights the child has now
	Stopped bool    `json:"stopped_early"`
	// Held-out losses along the context, of equal stretches of it: of the parent, of the
	// child before the first step, and of the best.
	Positions struct {
		Parent []float64 `json:"parent"`
		Before []float64 `json:"before"`
		Best   []float64 `json:"best"`
	} `json:"positions"`
}

// ErrInterrupted is returned when the context ended; the child has the best weights
// that were measured so far.
var ErrInterrupted = errors.New("recovery: interrupted")

// Run trains the child. When it returns, the child has the weights of the best
// held-out loss.
func (s *Stage) Run(ctx context.Context) (*Result, error) {
	s.Options = s.Resolve()
	if s.SaveEvery == 0 {
		s.SaveEvery = DefaultSaveEvery
	}
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
	for r.step < r.steps {
		if ctx.Err() != nil {
			if err := r.save(); err != nil {
				return nil, err
			}
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
	parent, child *graph.Machine
	judge         Judge             // of the child
	sites         []string          // of the child
	own           map[string]string // the child's name of a site of the parent
	grads         *param.Slab
	best, now     *param.Slab // weights of the best measurement; the present ones, while they are saved
	opt           optim.Interface
	optConfig     optim.Config
	scale         func(*param.Param) float64
	step, steps   int
	start, saved  time.Time
	before        time.Duration // of training before an interruption
	each          time.Duration // of a step, as the first ones were
	result        Result
}

// begin measures both models, or goes on from a state.
func (r *runner) begin() error {
	r.start, r.saved = time.Now(), time.Now()
	if r.From != nil {
		return r.resume(*r.From)
	}
	r.result.Parent, r.result.Best.Loss = math.NaN(), math.NaN()
	if r.Held != nil {
		h, err := r.of(r.Parent)
		if err != nil {
			return err
		}
		r.result.Parent, r.result.Positions.Parent = h.Loss, h.Positions
		if err := r.measure(); err != nil {
			return err
		}
		r.result.Positions.Before = r.result.Positions.Best
	}
	if err := r.try(); err != nil {
		return err
	}
	r.start = time.Now()
	return nil
}

// try takes the time of a step, which says how many fit into a budget of time, and how long
// one of tokens takes. The batch comes again.
func (r *runner) try() error {
	at := r.Batches.Cursor()
	b, err := r.batch(r.Batches, 1)
	if err != nil {
		return err
	}
	for range 2 { // the first one touches fresh memory
		start := time.Now()
		if _, err = r.gradients(b); err != nil {
			return err
		}
		r.each = time.Since(start)
		clear(r.grads.Data)
	}
	if err := r.Batches.Seek(at); err != nil {
		return err
	}
	steps := r.Options.steps()
	if r.Tokens == 0 {
		steps = int(max(1, r.Time/max(1, r.each)))
	}
	r.Rate = r.rate(r.damage(), steps)
	r.plan(steps)
	r.tell(math.NaN(), math.NaN())
	return nil
}

// damage is how far the child's held-out loss is above its parent's before the first step, in
// nats a token; NaN where it is not measured in these.
func (r *runner) damage() float64 {
	if r.Held == nil || r.encoder() != nil {
		return math.NaN()
	}
	return r.result.Points[0].Loss - r.result.Parent
}

// plan fixes the number of steps.
func (r *runner) plan(steps int) {
	r.steps = steps
	r.optConfig = r.optimizer(steps)
}

// batch is the next one of a source, n sequences of which make one of the context.
func (r *runner) batch(from Batches, n int) (data.Batch, error) {
	b, err := from.Next()
	if err != nil {
		return b, err
	}
	return b.Join(n), nil
}

// next makes one step.
func (r *runner) next() error {
	from, n := r.Batches, 1
	if r.Short != nil && r.step < r.short(r.steps) {
		from, n = r.Short, r.Windows()
	}
	b, err := r.batch(from, n)
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
	r.opt.Update(optim.Step{Pool: r.Pool, Set: r.Child.Set, Grads: r.grads, LR: r.optConfig.Rate(r.step, r.steps), Norm: norm, Scale: r.scale})
	held := math.NaN()
	if r.Held != nil && (r.step == r.steps || r.step*r.Evaluations/r.steps != (r.step-1)*r.Evaluations/r.steps) {
		if err := r.measure(); err != nil {
			return err
		}
		held = r.result.Points[len(r.result.Points)-1].Loss
	}
	r.tell(kl, held)
	if r.step < r.steps && time.Since(r.saved) > r.SaveEvery {
		return r.save()
	}
	return nil
}

// tell says where the recovery stands.
func (r *runner) tell(kl, held float64) {
	if r.Progress == nil {
		return
	}
	each := r.each
	if r.step > 2 {
		each = r.elapsed() / time.Duration(r.step)
	}
	r.Progress(Progress{
		Step: r.step, Steps: r.steps, Tokens: r.tokens(), Elapsed: r.elapsed(), Left: each * time.Duration(r.steps-r.step), Memory: r.bytes(), KL: kl, Held: held,
	})
}

func (r *runner) tokens() int64 { return int64(r.step) * int64(r.Batch*r.Context) }

// measure takes the held-out loss, and keeps the weights where it is the best.
func (r *runner) measure() error {
	h, err := r.judge.Measure()
	if err != nil {
		return fmt.Errorf("recovery: held-out text: %w", err)
	}
	p := Point{Step: r.step, Tokens: r.tokens(), Seconds: r.elapsed().Seconds(), Loss: h.Loss}
	r.result.Points = append(r.result.Points, p)
	if !(h.Loss >= r.result.Best.Loss) {
		r.result.Best, r.result.Positions.Best = p, h.Positions
		copy(r.best.Data, r.Child.Set.Weights.Data)
	}
	r.result.Stopped = r.step < r.steps && r.worse() >= r.Patience
	return nil
}

// worse is how many measurements of the second half came after the lowest of them. Those of
// the first half do not count: the rate is high then, and the loss is often lower before it
// has risen than for long afterwards.
func (r *runner) worse() (n int) {
	lowest := math.Inf(1)
	for _, p := range r.result.Points {
		switch {
		case 2*p.Step < r.steps:
		case p.Loss < lowest:
			lowest, n = p.Loss, 0
		default:
			n++
		}
	}
	return n
}

// finish gives the child its best weights.
func (r *runner) finish() *Result {
	r.result.Steps, r.result.Tokens, r.result.Seconds, r.result.Rate = r.step, r.tokens(), r.elapsed().Seconds(), r.Rate
	if r.Held != nil && r.result.Best.Step != r.step {
		copy(r.Child.Set.Weights.Data, r.best.Data)
	}
	return &r.result
}
