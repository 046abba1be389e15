package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
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
	// Held makes the judge of the parent or the child on held-out batches of so many tokens; nil measures
	// nothing, and the last weights are the result.
	Held func(n Net, tokens int) (Judge, error)
	// Progress is told after every step, and before the first one; may be nil.
	Progress func(Progress)

	// Save keeps a state every SaveEvery and when the context ends; the child has the
	// best weights so far while it runs. nil keeps none.
	Save      func(State, []Saved) error
	SaveEvery time.Duration // default DefaultSaveEvery
	// From, where it is not nil, is the state to go on from; Restore fills its slabs.
	From    *State
	Restore func([]Saved) error

	now func() time.Time // nil is time.Now; tests have other clocks
}

// clock is the time.
func (s *Stage) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

// DefaultSaveEvery is how often a recovery is saved when nobody says.
const DefaultSaveEvery = 2 * time.Minute

// Progress is where a recovery stands.
type Progress struct {
	Step, Steps int // Step is 0 before the first one
	Tokens      int64
	Elapsed     time.Duration
	Left        time.Duration // estimated, with measurements
	Memory      int64         // bytes that both models, their machines, the optimizer and measurements take
	FLOPs       int64         // of products so far, measurements included
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
	// Optimizer is what trained the child, Memory the bytes that it all took, by the plan.
	Optimizer string `json:"optimizer"`
	Memory    int64  `json:"memory"`
	AdamW     int64  `json:"adamw_memory,omitempty"` // bytes that it would have taken by adamw, where it was trained otherwise
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
	if err := s.Child.Set.Float32(); err != nil && !s.inBackward() {
		return nil, fmt.Errorf("recovery: %s trains weights in float32: %w", AdamW, err)
	}
	if p, c := s.Parent.Model.Vocab(), s.Child.Model.Vocab(); p != c {
		return nil, fmt.Errorf("recovery: the parent has a vocabulary of %d, the child %d", p, c)
	}
	start := s.clock()
	r, err := newRunner(s)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.begin(start); err != nil {
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
