package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// interruptible runs what keeps no state to be saved: a signal ends it where it
// stands. Files are written whole or not at all, so nothing is left half-done.
func interruptible(c *cli.Context, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("internal error: %v (please report this)", r)
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-c.Context.Done():
		err := fmt.Errorf("%w: nothing was written", errInterrupted)
		ranksOf(c).abandon(err, c.App.ErrWriter)
		return err
	}
}
