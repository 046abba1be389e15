package recovery

import (
	"fmt"
	"math"
	"time"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// runner is a Stage under way.
type runner struct {
	*Stage
	parent, child *graph.Machine
	judge         Judge             // of the child
	sites         []string          // of the child
	own           map[string]string // the child's name of a site of the parent
	grads         *param.Slab       // nil where blocks are updated in the backward pass
	best          *param.Slab       // weights of the best measurement
	opt           optim.Interface
	optConfig     optim.Config
	scale         func(*param.Param) float64
	step, steps   int
	start, saved  time.Time
	before        time.Duration // of training before an interruption
	spent         time.Duration // of a budget of time, before the first step
	each          time.Duration // of a step, as the first ones were
	look, looked  time.Duration // of the last measurement of the child; of all since the first step
	result        Result

	work     work
	forward  int64     // bytes of a measurement's activations
	measured measuring // planned
	done     int64     // operations of what has been done

	update  optim.Step // under way
	begun   bool       // it has changed weights
	squares float64    // of its gradients so far, in the backward pass
	norm    float64    // of the gradients of the step before
}

// begin measures both models, or goes on from a state; start is when the recovery began.
func (r *runner) begin(start time.Time) error {
	r.start, r.saved = start, start
	if r.From != nil {
		return r.resume(*r.From)
	}
	r.result.Parent, r.result.Best.Loss = math.NaN(), math.NaN()
	if err := r.try(); err != nil {
		return err
	}
	r.steps = r.Options.steps()
	if r.Tokens == 0 {
		r.steps = r.within()
	}
	r.planMeasuring()
	r.tell(math.NaN(), math.NaN())
	if err := r.measureBoth(); err != nil {
		return err
	}
	r.spent, r.start, r.looked = r.elapsed(), r.clock(), 0
	if r.Tokens == 0 {
		r.replan(r.Time - r.spent)
	}
	r.Rate = r.rate(r.damage(), r.steps)
	r.plan(r.steps)
	return nil
}

// planMeasuring plans what is measured for the number of steps.
func (r *runner) planMeasuring() {
	if r.Held != nil {
		r.measured = r.measuring(r.steps, r.work)
	}
}

// measureBoth takes the held-out losses of the parent and of the child before the first step.
func (r *runner) measureBoth() error {
	if r.Held == nil {
		return nil
	}
	h, err := r.of(r.Parent, r.measured.tokens)
	if err != nil {
		return err
	}
	r.result.Parent, r.result.Positions.Parent = h.Loss, h.Positions
	r.done += r.measured.each()
	if err := r.openJudge(); err != nil {
		return err
	}
	if err := r.measure(); err != nil {
		return err
	}
	r.result.Positions.Before = r.result.Positions.Best
	return nil
}

// openJudge makes the child's judge.
func (r *runner) openJudge() (err error) {
	if r.Held != nil {
		r.judge, err = r.Held(r.Child, r.measured.tokens)
	}
	return err
}

// try takes the time of a step, which says how many fit into a budget of time, and how long
// one of tokens takes: with a rate of 0, which changes no weight. The batch comes again, and
// the optimizer forgets it.
func (r *runner) try() error {
	at := r.Batches.Cursor()
	for range r.tries() {
		start := r.clock()
		b, err := r.batch(r.Batches, 1)
		if err != nil {
			return err
		}
		if _, err = r.learn(b, 0); err != nil {
			return err
		}
		if err := r.Batches.Seek(at); err != nil {
			return err
		}
		r.each = r.clock().Sub(start)
		r.done += r.work.step
	}
	optim.Reset(r.opt)
	r.norm = 0
	return nil
}

// damage is how far the child's held-out loss is above its parent's before the first step, in
// nats a token; NaN where it is not measured in these.
func (r *runner) damage() float64 {
	if r.Held == nil || encoder(r.Parent) != nil {
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
	kl, err := r.learn(b, r.optConfig.Rate(r.step+1, r.steps))
	if err != nil {
		return err
	}
	r.step++
	r.done += r.work.step
	r.hurry()
	held := math.NaN()
	if times := r.measured.times; r.Held != nil && (r.step == r.steps || r.step*times/r.steps != (r.step-1)*times/r.steps) {
		if err := r.measure(); err != nil {
			return err
		}
		held = r.result.Points[len(r.result.Points)-1].Loss
	}
	r.tell(kl, held)
	if r.step < r.steps && r.clock().Sub(r.saved) > r.SaveEvery {
		return r.save()
	}
	return nil
}

// tell says where the recovery stands.
func (r *runner) tell(kl, held float64) {
	if r.Progress == nil {
		return
	}
	left := float64(r.each) * (float64(r.steps) + float64(r.measured.flops)/float64(r.work.step))
	if r.step > 2 {
		left = float64(r.elapsed()) / float64(r.step) * float64(r.steps-r.step)
	}
	r.Progress(Progress{
		Step: r.step, Steps: r.steps, Tokens: r.tokens(), Elapsed: r.elapsed(), Left: time.Duration(left), Memory: r.bytes(), FLOPs: r.done, KL: kl, Held: held,
	})
}

func (r *runner) tokens() int64 { return int64(r.step) * int64(r.Batch*r.Context) }

// measure takes the held-out loss, and keeps the weights where it is the best.
func (r *runner) measure() error {
	start := r.clock()
	h, err := r.judge.Measure()
	if err != nil {
		return fmt.Errorf("recovery: held-out text: %w", err)
	}
	r.look = r.clock().Sub(start)
	r.looked += r.look
	p := Point{Step: r.step, Tokens: r.tokens(), Seconds: r.elapsed().Seconds(), Loss: h.Loss}
	r.result.Points = append(r.result.Points, p)
	r.done += r.measured.each()
	if !(h.Loss >= r.result.Best.Loss) {
		r.result.Best, r.result.Positions.Best = p, h.Positions
		r.keepBest()
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
	r.result.Optimizer, r.result.Memory = r.optConfig.Name, r.bytes()
	if r.Held != nil && r.result.Best.Step != r.step {
		r.exchange()
	}
	return &r.result
}
