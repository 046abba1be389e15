package progress

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Display is where progress is shown, usually standard error.
type Display struct {
	out io.Writer
	bar *progressbar.ProgressBar // nil before something is drawn, and where out is no terminal
	at  time.Time                // when it was drawn last
}

// terminal reports whether out is one.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Say prints a line. What is drawn makes way and comes back below it. Where a file or a
// service's journal takes the lines, each begins with the time; a terminal has its own clock.
func (d *Display) Say(line string) {
	if d.bar != nil {
		d.bar.Clear()
	}
	if _, file := d.out.(*os.File); file && !terminal(d.out) {
		line = time.Now().Format("2006-01-02 15:04:05 ") + line
	}
	fmt.Fprintln(d.out, line)
}

// draw draws a bar after a text that says more, cut where the terminal is too narrow for both.
// Elsewhere than on a terminal it does nothing and reports false.
func (d *Display) draw(done, of int64, text string) bool {
	if !terminal(d.out) {
		return false
	}
	if d.bar == nil {
		d.bar = progressbar.NewOptions64(of, progressbar.OptionSetWriter(d.out), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish())
	} else if time.Since(d.at) < 100*time.Millisecond {
		return true
	}
	d.at = time.Now()
	if d.bar.GetMax64() != of {
		d.bar.ChangeMax64(of)
	}
	const bar = 14 // columns of the bar, at least, with its percentage
	if width, _, err := term.GetSize(int(d.out.(*os.File).Fd())); err == nil && len(text) > max(0, width-bar) {
		text = text[:max(0, width-bar)]
	}
	if done < of { // the library takes a full bar for the end
		d.bar.Set64(done)
	}
	d.bar.Describe(text)
	return true
}

// End takes away what is drawn.
func (d *Display) End() {
	if d.bar != nil {
		d.bar.Clear()
		d.bar = nil
	}
}
