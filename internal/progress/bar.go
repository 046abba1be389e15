package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal reports whether out is one.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Bar shows how far something is on a terminal; elsewhere nothing. n of -1 is not known.
func Bar(out io.Writer, n int64, what string) *progressbar.ProgressBar {
	if !terminal(out) {
		out = io.Discard
	}
	return progressbar.NewOptions64(n, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}
