package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// The learning-rate range test, https://arxiv.org/abs/1506.01186: some steps whose rate grows
// from lowest to highest by a constant factor.
const (
	lowestLR  = 1e-6
	highestLR = 1.0
	// DefaultLRSteps is how many steps a range test makes when nobody says.
	DefaultLRSteps = 100
	lrDecay        = 0.9 // of the running mean of the losses
	lrDiverged     = 4   // the test ends where the mean is so many times the lowest
)

// LRPoint is a step of a range test.
type LRPoint struct {
	LR, Loss float64
	Smooth   float64 // mean of the losses so far, the newest counting most
}

// LRCurve is a range test.
type LRCurve struct {
	Points    []LRPoint
	Lowest    float64 // the rate at which the smoothed loss was lowest
	Suggested float64 // the rate at which it fell fastest
}

// FindLR makes a range test with the model, the data, the batches and the optimizer of a run
// file. Nothing is written, and nothing is pruned. When ctx ends first the error is ctx's. The
// result is that of the lead; nil on other ranks.
func FindLR(ctx context.Context, cfg config.Run, o Options, steps int) (*LRCurve, error) {
	c, err := findLR(ctx, cfg, o, steps)
	var stopped *Interrupted
	switch {
	case errors.As(err, &stopped):
		return nil, context.Cause(ctx)
	case err != nil || o.Ranks.Group != nil && !o.Ranks.lead():
		return nil, err
	}
	return c, nil
}

func findLR(ctx context.Context, cfg config.Run, o Options, steps int) (c *LRCurve, err error) {
	if steps == 0 {
		steps = DefaultLRSteps
	}
	if steps < 10 {
		return nil, fault.Usage(fmt.Errorf("a test of learning rates has %d steps, expected 10 or more", steps))
	}
	if o.Ranks.Group == nil {
		o.Ranks.Group = dist.Alone{}
	}
	cfg.Dense()
	cfg.Train.Steps, cfg.Train.Epochs, cfg.Train.EMA, cfg.Logging = steps, 0, 0, train.Logging{}
	if cfg.Out, err = os.MkdirTemp("", "ecospa-find-lr-*"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(cfg.Out)
	if err := cfg.Validate(); err != nil {
		return nil, fault.Usage(err)
	}
	j := &Job{Options: o, cfg: cfg}
	defer j.release()
	if err := j.openBase(); err != nil {
		return nil, err
	}
	if err := j.read(ctx); err != nil {
		return nil, err
	}
	if err := j.resolve(nil); err != nil {
		return nil, err
	}
	if err := j.fresh(); err != nil {
		return nil, err
	}
	return j.rangeTest(ctx)
}

// rangeTest trains with growing rates.
func (j *Job) rangeTest(ctx context.Context) (*LRCurve, error) {
	o, steps := j.cfg.Optim, j.cfg.Train.Steps
	o.LR, o.MinLR, o.Schedule, o.WarmUp = lowestLR, lowestLR, "constant", optim.Steps(0)
	if err := j.newLoop(o); err != nil {
		return nil, err
	}
	if err := j.learn(nil); err != nil {
		return nil, err
	}
	c, l := &LRCurve{}, j.loop
	l.Attach(train.Hook{Name: "find-lr", Step: func(l *train.Loop) error {
		c.add(l.Last.LR, l.Last.Loss)
		j.tell(Stepped{l.Last})
		l.Optim.LR = lowestLR * math.Pow(highestLR/lowestLR, float64(l.Step)/float64(steps-1))
		if c.diverged() {
			l.Steps = l.Step
		}
		return nil
	}})
	j.tell(Began{0, steps})
	err := l.Run(ctx)
	j.tell(Ended{l.Step, steps})
	var bad *train.NonFiniteError
	if errors.Is(err, train.ErrInterrupted) {
		return nil, &Interrupted{Dir: j.cfg.Out}
	}
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	return c, c.suggest()
}

// add adds a step.
func (c *LRCurve) add(lr, loss float64) {
	p := LRPoint{LR: lr, Loss: loss}
	sum, weights := 0.0, 0.0
	w := 1.0
	for i := len(c.Points); i >= 0; i-- {
		x := loss
		if i < len(c.Points) {
			x = c.Points[i].Loss
		}
		sum, weights, w = sum+w*x, weights+w, w*lrDecay
	}
	p.Smooth = sum / weights
	c.Points = append(c.Points, p)
}

// lowest is the index of the lowest smoothed loss.
func (c *LRCurve) lowest() int {
	at := 0
	for i, p := range c.Points {
		if p.Smooth < c.Points[at].Smooth {
			at = i
		}
	}
	return at
}

func (c *LRCurve) diverged() bool {
	n := len(c.Points)
	return n > 10 && c.Points[n-1].Smooth > lrDiverged*math.Abs(c.Points[c.lowest()].Smooth)
}

// suggest finds the rates.
func (c *LRCurve) suggest() error {
	if len(c.Points) < 10 {
		return fmt.Errorf("the loss was not finite after %d steps, at a learning rate of %.2g: the test says nothing", len(c.Points), c.Points[max(0, len(c.Points)-1)].LR)
	}
	low := c.lowest()
	c.Lowest = c.Points[low].LR
	steepest := 0.0
	for i := 1; i < low; i++ { // rates grow by a factor: the slope by their logarithm
		if slope := c.Points[i+1].Smooth - c.Points[i-1].Smooth; slope < steepest {
			steepest, c.Suggested = slope, c.Points[i].LR
		}
	}
	if c.Suggested == 0 {
		return errors.New("the loss did not fall at any learning rate: the test says nothing")
	}
	return nil
}

// lrLines and lrWidth are the size of a curve as text.
const (
	lrLines = 25
	lrWidth = 40
)

// String is the curve and the suggestion.
func (c *LRCurve) String() string {
	var b strings.Builder
	top, low := 0.0, math.Inf(1)
	for _, p := range c.Points {
		top, low = max(top, min(p.Smooth, 2*c.Points[0].Smooth)), min(low, p.Smooth)
	}
	fmt.Fprintf(&b, "%-10s %-10s %s\n", "lr", "loss", "mean of the losses so far, newest first")
	every := max(1, (len(c.Points)+lrLines-1)/lrLines)
	for i := 0; i < len(c.Points); i += every {
		p := c.Points[i]
		n := int(math.Round(lrWidth * (min(p.Smooth, top) - low) / max(top-low, 1e-9)))
		fmt.Fprintf(&b, "%-10.2g %-10.4f %.4f %s\n", p.LR, p.Loss, p.Smooth, strings.Repeat("#", n+1))
	}
	fmt.Fprintf(&b, "\nThe loss fell fastest at a learning rate of %.2g and was lowest at %.2g.\nSuggested: --set optim.lr=%.1g\n", c.Suggested, c.Lowest, c.Suggested)
	return b.String()
}
