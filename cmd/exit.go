package cmd

import (
	"context"
	"errors"
	"io/fs"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/lab"
	"github.com/ecospa/ecospa/pkg/run"
)

// Exit codes of every subcommand.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2   // a flag, a configuration key, a budget that cannot be met
	exitBadInput    = 3   // a file that is missing, damaged or not what it should be
	exitInterrupted = 130 // stopped by a signal, state saved
)

// errInterrupted is returned when a run stopped because it was told to, after saving.
var errInterrupted = errors.New("interrupted")

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case stopped(err), errors.Is(err, context.Canceled):
		return exitInterrupted
	case fault.Of(err) == fault.Config:
		return exitUsage
	case fault.Of(err) == fault.Input:
		return exitBadInput
	case errors.Is(err, config.ErrConfig):
		return exitUsage
	case errors.Is(err, fs.ErrNotExist):
		return exitBadInput
	}
	return exitFailure
}

// stopped reports whether an error is that of a signal.
func stopped(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, lab.ErrInterrupted) || errors.As(err, new(*run.Interrupted))
}
