package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/run"
)

// ErrInterrupted is returned when the context of an experiment ends; what was finished
// is kept.
var ErrInterrupted = errors.New("interrupted")

// Result is what came of an experiment: tables and where its files are, as text, and in JSON the
// struct itself.
type Result interface{ Text() string }

// Env is what experiments need of the program that makes them.
type Env struct {
	Version string                 // recorded in runs and reports
	Log     func(line string)      // progress; may be nil
	Notify  func() func(run.Event) // makes the display of a run that begins; may be nil
	Threads int                    // of everything, over the run files'; 0 is theirs, or one a core
}

func (e Env) say(format string, a ...any) {
	if e.Log != nil {
		e.Log(fmt.Sprintf(format, a...))
	}
}

// train makes a run or goes on with it; one that is finished stays as it is.
func (e Env) train(ctx context.Context, c config.Run, o run.Options) error {
	o.Version = e.Version
	if e.Notify != nil {
		o.Notify = e.Notify()
	}
	if e.Threads > 0 {
		c.Train.Threads, o.Allow = e.Threads, append(o.Allow, "train.threads")
	}
	j, err := run.Start(ctx, c, o)
	if errors.Is(err, run.ErrFinished) {
		return nil
	}
	if err != nil {
		return err
	}
	defer j.Close()
	_, err = j.Train(ctx)
	return err
}
