package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Pruning shows how far a pruning is: a bar over all phases on a terminal, elsewhere a line
// for every tenth of the work.
type Pruning struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	tenth int64
}

// NewPruning shows a pruning on out, which is usually standard error.
func NewPruning(out io.Writer) *Pruning { return &Pruning{out: out} }

// Say prints a line beside the display.
func (w *Pruning) Say(line string) {
	if w.bar != nil {
		w.bar.Clear()
	}
	fmt.Fprintln(w.out, line)
}

// Show shows how far it is.
func (w *Pruning) Show(e prune.Working) {
	if w.bar == nil && w.tenth == 0 && terminal(w.out) {
		w.bar = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(w.out), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(w.out) }))
	}
	part := 1000 * e.Done / max(1, e.Of)
	if w.bar != nil {
		w.bar.Describe(fmt.Sprintf("%s, %s left", e.Phase, units.Clock(e.Left())))
		w.bar.Set64(part)
	} else if part/100 > w.tenth {
		w.Say(fmt.Sprintf("%3d %%  %s, %s since the beginning, about %s left", part/10, e.Phase, units.Clock(e.Elapsed), units.Clock(e.Left())))
	}
	w.tenth = max(w.tenth, part/100)
}
