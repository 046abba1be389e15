package shell

import (
	"slices"

	"github.com/urfave/cli/v2"
)

// AddShorts gives the flags of all commands their short forms, by the long ones.
func AddShorts(commands []*cli.Command, shorts map[string]string) {
	for _, c := range commands {
		AddShorts(c.Subcommands, shorts)
		for _, f := range c.Flags {
			switch f := f.(type) {
			case *cli.StringFlag:
				f.Aliases = withShort(shorts[f.Name], f.Aliases)
			case *cli.IntFlag:
				f.Aliases = withShort(shorts[f.Name], f.Aliases)
			}
		}
	}
}

func withShort(s string, aliases []string) []string {
	if s != "" && !slices.Contains(aliases, s) {
		return append(aliases, s)
	}
	return aliases
}
