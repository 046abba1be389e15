package run

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/pkg/config"
)

var (
	// ErrExists is returned for a new run in a directory that holds one.
	ErrExists = errors.New("holds a run already")
	// ErrNoRun is returned where a run is to go on in a directory without one.
	ErrNoRun = errors.New("holds no run (no run.yaml)")
	// ErrFinished is returned by Start where the run to go on with has come to its
	// end; nothing has been changed.
	ErrFinished = errors.New("the run is already finished")
	// ErrTooLarge is returned where memory or disk are too small for the run.
	ErrTooLarge = errors.New("the run is too large")
	// ErrClasses is returned where images have classes that the model does not know.
	ErrClasses = errors.New("the model was trained for other classes")
	// errElsewhere ends ranks that are sound themselves.
	errElsewhere = errors.New("another rank failed")
)

// Interrupted is returned when the context of a run was cancelled.
type Interrupted struct {
	Dir         string
	Step, Steps int  // made, and of the whole run
	Saved       bool // a checkpoint of Step has been written
}

func (e *Interrupted) Error() string {
	switch {
	case !e.Saved:
		return "interrupted before the first step: there is nothing to save"
	case e.Step == 0:
		return "interrupted before the first step, state saved"
	}
	return fmt.Sprintf("interrupted after step %d of %d, state saved", e.Step, e.Steps)
}

// ChangedError is returned where the run file differs from that of the run to go on
// with in keys that Options.Allow does not name.
type ChangedError struct{ Changes []config.Change }

func (e *ChangedError) Error() string {
	var text []string
	for _, c := range e.Changes {
		text = append(text, c.String())
	}
	return fmt.Sprintf("the configuration differs from the interrupted run's: %s", strings.Join(text, ", "))
}

// Keys are the keys that differ.
func (e *ChangedError) Keys() (keys []string) {
	for _, c := range e.Changes {
		keys = append(keys, c.Key)
	}
	return keys
}

// tooLarge marks what Options.Force makes a note.
type tooLarge struct{ error }

func (e tooLarge) Unwrap() error        { return e.error }
func (e tooLarge) Is(target error) bool { return target == ErrTooLarge }

// oneLine is the error's text without line breaks.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
}
