package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/mpi"
)

// ranks is this process's part in a run of several processes.
type ranks struct{ mpi.Ranks }

var alone = ranks{mpi.Alone}

// distributed lists the subcommands that run on several ranks.
var distributed = []string{"pretrain", "finetune", "prune", "eval", "bench step", "bench wire"}

// outputs are where a rank prints: the lead to the process's, others nowhere but for
// the error that ends them.
func (r ranks) outputs(stdout, stderr io.Writer) (out, log io.Writer) {
	if r.Lead() {
		return stdout, stderr
	}
	return io.Discard, io.Discard
}

// failure is the line that ends a rank with an error.
func (r ranks) failure(err error) string {
	if r.Lead() {
		return fmt.Sprintf("ecospa: %s", fault.Message(err))
	}
	return fmt.Sprintf("ecospa: rank %d: %s", r.Rank(), fault.Message(err))
}

// grace is how long other ranks wait for the lead to say what ended all of them.
const grace = 5 * time.Second

// speaks reports whether this rank is the one to print the error that ends it. Others
// than the lead first give the lead time to say what ended all, and to end them.
func (r ranks) speaks(ctx context.Context, err error) bool {
	if r.Lead() {
		return true
	}
	if stopped(err) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(grace):
		return true
	}
}

// leave ends this rank with an exit code: together with the others when the run is
// over for all of them, and all at once when it is not.
func (r ranks) leave(code int) int {
	if code != exitOK && code != exitInterrupted {
		r.Abort(code)
	} else if err := r.Close(); err != nil {
		return exitFailure
	}
	return code
}

// refuse ends what makes no sense on several ranks.
func (r ranks) refuse(c *cli.Context) error {
	if !r.Many() {
		return nil
	}
	name := c.Args().First()
	if name == "bench" {
		name = strings.TrimSpace(name + " " + c.Args().Get(1))
	}
	for _, ok := range distributed {
		if name == ok {
			return nil
		}
	}
	return fault.Usage(fmt.Errorf("%q runs in one process, not on %d ranks; under MPI run one of %s", name, r.Size(), strings.Join(distributed, ", ")))
}

// abandon ends all ranks at once, of a command that has no state to save: they do
// not stop together. It returns alone.
func (r ranks) abandon(err error, log io.Writer) {
	if !r.Many() {
		return
	}
	if r.Lead() {
		fmt.Fprintln(log, r.failure(err))
	} else {
		time.Sleep(grace) // the lead is likely to have been told as well, and speaks
	}
	r.Abort(exitInterrupted)
}

// orAlone is r, or the only rank where none was given.
func (r ranks) orAlone() ranks {
	if r.Group == nil {
		return alone
	}
	return r
}

// ranksOf is the ranks that a command runs on.
func ranksOf(c *cli.Context) ranks {
	if r, ok := c.App.Metadata["ranks"].(ranks); ok {
		return r
	}
	return alone
}
