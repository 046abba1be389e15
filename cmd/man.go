package cmd

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/shell"
)

// release is set by a release's build at link time.
var release string

// Version is the program's, and committed the time of its commit where it is known.
var Version, committed = shell.Build(release)

func manCommand() *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page: ecospa man | man -l -",
		Action: func(c *cli.Context) error {
			page, err := shell.Man(c.App, committed, strings.SplitN(exitStatusHelp, "\n", 3)[2])
			if err == nil {
				_, err = fmt.Fprint(c.App.Writer, page)
			}
			return err
		},
	}
}
