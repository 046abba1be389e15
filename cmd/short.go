package cmd

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
)

// shorts are the short forms of flags, the same in every command.
var shorts = map[string]string{"model": "m", "prompt": "p", "tokens": "n", "threads": "t", "out": "o"}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "print the help of a command",
		ArgsUsage: "[COMMAND [BENCHMARK]]",
		Action: func(c *cli.Context) error {
			names := c.Args().Slice()
			if len(names) == 0 {
				return cli.ShowAppHelp(c)
			}
			at := c.App.Command(names[0])
			for _, name := range names[1:] {
				if at != nil {
					i := slices.IndexFunc(at.Subcommands, func(s *cli.Command) bool { return s.Name == name })
					if i < 0 {
						at = nil
						break
					}
					at = at.Subcommands[i]
				}
			}
			if at == nil {
				return fault.Usage(fmt.Errorf("no command %q; run ecospa --help for the list", names[len(names)-1]))
			}
			return c.App.RunContext(c.Context, append(append([]string{"ecospa"}, names...), "--help"))
		},
	}
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "ecospa version %s\n", c.App.Version)
			return err
		},
	}
}
