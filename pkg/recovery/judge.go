package recovery

import (
	"errors"
	"math"
	"time"
)

// Judge measures a model on held-out batches, the same ones every time.
type Judge interface {
	Measure() (Held, error)
	Close() error
}

// Held is what a model does on held-out batches.
type Held struct {
	Loss float64 // nats a token
	// Positions is the loss of equal stretches of the context, from its beginning as far
	// as anything was predicted.
	Positions []float64
}

var errNothing = errors.New("recovery: the held-out text has no token to predict")

// of measures a model once.
func (s *Stage) of(n Net, tokens int) (h Held, err error) {
	j, err := s.Held(n, tokens)
	if err != nil {
		return h, err
	}
	if h, err = j.Measure(); err == nil && math.IsNaN(h.Loss) {
		err = errNothing
	}
	return h, errors.Join(err, j.Close())
}

// A measurement is of MostHeld tokens at most. All of them, of the parent, of the child before the
// first step and on the way, take a quarter of the operations of training at most: where that
// is not enough for fewestHeld tokens each, there are fewer on the way, and then of fewer
// tokens. One batch for the parent, for the child and for the result is the least.
const (
	MostHeld       = 8192
	fewestHeld     = 2048
	measuringShare = 0.25
)

// measuring is what is measured.
type measuring struct {
	times  int   // on the way, the last step included
	tokens int   // each
	flops  int64 // of all
}

// each is the operations of one measurement, on average.
func (m measuring) each() int64 { return m.flops / int64(m.times+2) }

// measuring plans it for so many steps.
func (o Options) measuring(steps int, w work) measuring {
	each := o.Batch * o.Context
	room := measuringShare * float64(steps) * float64(w.step)
	cost := func(times int) float64 { return float64(w.parent) + float64(times+1)*float64(w.child) }
	times := max(1, min(o.Evaluations, steps))
	for times > 1 && room/cost(times)*float64(each) < fewestHeld {
		times--
	}
	batches := max(1, int(room/cost(times)))
	most := (MostHeld + each - 1) / each
	if batches = min(batches, most); batches < most {
		return measuring{times, batches * each, int64(float64(batches) * cost(times))}
	}
	return measuring{times, max(each, MostHeld), int64(float64(most) * cost(times))}
}

// within is how many steps of so long fit what is left of a budget of time, with what is measured.
func (r *runner) within() int {
	steps := int(max(1, (r.Time-r.clock().Sub(r.start))/max(1, r.each)))
	if r.Held == nil {
		return steps
	}
	share := float64(r.measuring(steps, r.work).flops) / (float64(steps) * float64(r.work.step))
	return max(1, int(float64(steps)/(1+share)))
}

// replan fits steps and measurements into what is left of a budget of time, now that one of each has
// been timed: a measurement may take longer than its operations beside those of a step say.
func (r *runner) replan(left time.Duration) {
	m := &r.measured
	each := m.each()
	for m.times > 1 && float64(m.times)*float64(r.look) > measuringShare*float64(left) {
		m.times--
	}
	m.flops = each * int64(m.times+2)
	r.steps = int(max(1, (left-time.Duration(m.times)*r.look)/max(1, r.each)))
}

// ahead is how many measurements are still to be made.
func (r *runner) ahead() int {
	if r.Held == nil || r.step >= r.steps {
		return 0
	}
	return max(1, r.measured.times-r.step*r.measured.times/r.steps)
}

// hurry takes steps away where a budget of time is not enough for them and for the
// measurements to come, at the pace so far, and adds some before the first of those where there is room.
func (r *runner) hurry() {
	if r.Tokens > 0 {
		return
	}
	pace := (r.elapsed() - r.looked) / time.Duration(r.step)
	left := r.Time - r.spent - r.elapsed() - time.Duration(r.ahead())*r.look
	n := max(r.step, r.step+int(left/max(1, pace)))
	if n < r.steps || n > r.steps && r.step >= slowSteps && r.step*r.measured.times < r.steps {
		r.plan(n)
	}
}

// slowSteps is how many of the first steps say nothing of later ones being faster.
const slowSteps = 3
