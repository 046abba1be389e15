package cmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/train"
)

// progress shows a run's steps: a bar on a terminal, plain lines elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil when the output is not a terminal
	steps int
	every int // steps between plain lines
	begun time.Time
	first int // step at which this process began
	rate  float64
}

func newProgress(out io.Writer, steps int) *progress {
	p := &progress{out: out, steps: steps, every: max(1, steps/20)}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(out),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }),
		)
	}
	return p
}

// Hook attaches the display to a loop.
func (p *progress) Hook() train.Hook {
	return train.Hook{Name: "progress", Start: p.start, Step: p.step, End: p.end}
}

func (p *progress) start(l *train.Loop) error {
	p.begun, p.first = time.Now(), l.Step
	if p.bar != nil {
		return p.bar.Set(l.Step)
	}
	return nil
}

func (p *progress) step(l *train.Loop) error {
	r := l.Last
	if p.rate == 0 {
		p.rate = r.TokensPerS
	}
	p.rate += 0.1 * (r.TokensPerS - p.rate)
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("loss %.3f  lr %.2g  %.0f tokens/s", r.Loss, r.LR, p.rate))
		return p.bar.Set(r.Step)
	}
	if r.Step%p.every == 0 || r.Step == p.steps || r.Step == p.first+1 {
		done := time.Since(p.begun)
		left := time.Duration(float64(done) / float64(r.Step-p.first) * float64(p.steps-r.Step))
		fmt.Fprintf(p.out, "step %d/%d  loss %.4f  lr %.2e  |g| %.2f  %.0f tokens/s  %s resident  %s left\n",
			r.Step, p.steps, r.Loss, r.LR, r.GradNorm, r.TokensPerS, units.Bytes(r.RSS), units.Clock(left))
	}
	return nil
}

func (p *progress) end(*train.Loop) error {
	if p.bar != nil && !p.bar.IsFinished() {
		return p.bar.Exit()
	}
	return nil
}

// say prints a line beside the display without tearing a bar apart.
func (p *progress) say(format string, args ...any) {
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}
