package cmd

import (
	"context"
	"errors"
	"io/fs"

	"github.com/ecospa/ecospa/pkg/config"
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

// coded is an error with its exit code.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// usage marks an error as the caller's configuration.
func usage(err error) error { return withCode(err, exitUsage) }

// badInput marks an error as that of an input file.
func badInput(err error) error { return withCode(err, exitBadInput) }

// withCode gives err a code unless it has one already.
func withCode(err error, code int) error {
	var c coded
	if err == nil || errors.As(err, &c) {
		return err
	}
	return coded{err, code}
}

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var c coded
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, config.ErrConfig):
		return exitUsage
	case errors.Is(err, fs.ErrNotExist):
		return exitBadInput
	}
	return exitFailure
}
