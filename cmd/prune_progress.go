package cmd

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// calibrationFlags reads what has words beside numbers.
func calibrationFlags(c *cli.Context) (sequences int, recompute graph.Recompute, weights param.DType, err error) {
	if s := c.String("sequences"); s != "auto" {
		if sequences, err = strconv.Atoi(s); err != nil || sequences < 1 {
			return 0, 0, "", fmt.Errorf("--sequences is %q, expected auto or a number of at least 1", s)
		}
	}
	if s := c.String("recompute"); s != "auto" {
		if recompute, err = graph.ParseRecompute(s); err != nil || recompute == graph.KeepAll {
			return 0, 0, "", fmt.Errorf("--recompute is %q, expected auto, light, attention or layer", s)
		}
	}
	if s := c.String("weights"); s != "" {
		if weights, err = param.ParseDType(s); err != nil {
			return 0, 0, "", fmt.Errorf("--weights: %w", err)
		}
	}
	return sequences, recompute, weights, nil
}

// workBar shows how far a pruning is: a bar over all phases on a terminal, elsewhere a line
// for every tenth of the work.
type workBar struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	tenth int64
}

// say prints a line beside the display.
func (w *workBar) say(line string) {
	if w.bar != nil {
		w.bar.Clear()
	}
	fmt.Fprintln(w.out, line)
}

func (w *workBar) show(e prune.Working) {
	if f, ok := w.out.(*os.File); ok && w.bar == nil && w.tenth == 0 && term.IsTerminal(int(f.Fd())) {
		w.bar = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(w.out), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(w.out) }))
	}
	part := 1000 * e.Done / max(1, e.Of)
	if w.bar != nil {
		w.bar.Describe(fmt.Sprintf("%s, %s left", e.Phase, units.Clock(e.Left())))
		w.bar.Set64(part)
	} else if part/100 > w.tenth {
		w.say(fmt.Sprintf("%3d %%  %s, %s since the beginning, about %s left", part/10, e.Phase, units.Clock(e.Elapsed), units.Clock(e.Left())))
	}
	w.tenth = max(w.tenth, part/100)
}
