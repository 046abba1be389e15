package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/run"
)

// Training shows what happens in a run: a bar on a terminal, plain lines elsewhere.
type Training struct {
	mu    sync.Mutex // a signal speaks in between
	out   io.Writer
	job   *run.Job                 // nil while it is prepared
	bar   *progressbar.ProgressBar // nil when the output is not a terminal
	steps int
	every int // steps between plain lines
	begun time.Time
	first int // step at which this process began
	rate  float64
}

// NewTraining shows a run on out, which is usually standard error.
func NewTraining(out io.Writer) *Training { return &Training{out: out} }

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
		if p.bar != nil && !p.bar.IsFinished() {
			p.bar.Exit()
		}
	case run.Saved:
		if e.Left != nil {
			p.say(e.String())
		}
	default:
		p.say(e.String())
	}
}

// say prints a line beside the display without tearing a bar apart.
func (p *Training) say(line string) {
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintln(p.out, p.stamp()+line)
}

// stamp begins a line of a log: the time, where a file or a service's journal takes the
// lines; a terminal has its own clock.
func (p *Training) stamp() string {
	if _, file := p.out.(*os.File); file && !terminal(p.out) {
		return time.Now().Format("2006-01-02 15:04:05 ")
	}
	return ""
}

func (p *Training) begin(e run.Began) {
	p.begun, p.first, p.steps, p.every = time.Now(), e.Step, e.Steps, max(1, e.Steps/20)
	if p.bar == nil && terminal(p.out) {
		p.bar = progressbar.NewOptions(e.Steps,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(p.out) }),
		)
	}
	if p.bar != nil {
		p.bar.Set(e.Step)
	}
}

func (p *Training) step(r run.Stepped) {
	if p.rate == 0 {
		p.rate = r.TokensPerS
	}
	p.rate += 0.1 * (r.TokensPerS - p.rate)
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("loss %.3f  lr %.2g  %.0f tokens/s  MFU %.0f %%", r.Loss, r.LR, p.rate, 100*r.MFU))
		p.bar.Set(r.Step)
		return
	}
	if r.Step%p.every == 0 || r.Step == p.steps || r.Step == p.first+1 {
		done := time.Since(p.begun)
		left := time.Duration(float64(done) / float64(r.Step-p.first) * float64(p.steps-r.Step))
		fmt.Fprintf(p.out, "%sstep %d/%d  loss %.4f  lr %.2e  |g| %.2f  %.0f tokens/s  MFU %.0f %%  %s resident  %s left\n",
			p.stamp(), r.Step, p.steps, r.Loss, r.LR, r.GradNorm, r.TokensPerS, 100*r.MFU, units.Bytes(r.RSS), units.Clock(left))
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
		p.say("stopping before the first step; there is nothing to save yet")
	case p.begun.IsZero():
		p.say("stopping before the first step, saving; once more discards")
	case p.job.Step() >= p.steps:
		p.say("all steps are made and saved; finishing")
	default:
		p.say(fmt.Sprintf("finishing step %d, saving; once more discards it", p.job.Step()+1))
	}
}
