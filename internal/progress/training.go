package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/run"
)

// Training shows what happens in a run: a bar on a terminal, plain lines elsewhere.
type Training struct {
	mu sync.Mutex // a signal speaks in between
	Display
	job   *run.Job // nil while it is prepared
	steps int
	every int // steps between plain lines
	begun time.Time
	first int // step at which this process began
	rate  float64
}

// NewTraining shows a run on out, which is usually standard error.
func NewTraining(out io.Writer) *Training { return &Training{Display: Display{out: out}} }

// Show shows an event.
func (p *Training) Show(e run.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case run.Began:
		p.begin(e)
	case run.Stepped:
		p.step(e)
	case run.Ended:
		p.End()
	case run.Saved:
		if e.Left != nil {
			p.Say(e.String())
		}
	default:
		p.Say(e.String())
	}
}

func (p *Training) begin(e run.Began) {
	p.begun, p.first, p.steps, p.every = time.Now(), e.Step, e.Steps, max(1, e.Steps/20)
	p.draw(int64(e.Step), int64(e.Steps), "first step")
}

func (p *Training) step(r run.Stepped) {
	if p.rate == 0 {
		p.rate = r.TokensPerS
	}
	p.rate += 0.1 * (r.TokensPerS - p.rate)
	done := time.Since(p.begun)
	left := units.Clock(time.Duration(float64(done) / float64(r.Step-p.first) * float64(p.steps-r.Step)))
	if p.draw(int64(r.Step), int64(p.steps), fmt.Sprintf("%d/%d  loss %.3f  %s tokens/s  MFU %.0f %%  %s left", r.Step, p.steps, r.Loss, units.Count(p.rate), 100*r.MFU, left)) {
		return
	}
	if r.Step%p.every == 0 || r.Step == p.steps || r.Step == p.first+1 {
		p.Say(fmt.Sprintf("step %d/%d  loss %.4f  lr %.2e  |g| %.2f  %.0f tokens/s  MFU %.0f %%  %s resident  %s left",
			r.Step, p.steps, r.Loss, r.LR, r.GradNorm, r.TokensPerS, 100*r.MFU, units.Bytes(r.RSS), left))
	}
}

// Watch follows a job that has been prepared.
func (p *Training) Watch(j *run.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job = j
}

// Interrupted says at once what a first signal does.
func (p *Training) Interrupted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.job == nil:
		p.Say("stopping before the first step; there is nothing to save yet")
	case p.begun.IsZero():
		p.Say("stopping before the first step, saving; once more discards")
	case p.job.Step() >= p.steps:
		p.Say("all steps are made and saved; finishing")
	default:
		p.Say(fmt.Sprintf("finishing step %d, saving; once more discards it", p.job.Step()+1))
	}
}
