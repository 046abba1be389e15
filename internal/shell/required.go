package shell

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
)

// CheckRequired takes the check of required flags over from urfave/cli, which prints
// the whole help on standard output before its error: a mistake is one line on
// standard error, and --json promises one object or nothing. The flags' help says
// that they are required.
func CheckRequired(commands []*cli.Command) {
	for _, c := range commands {
		CheckRequired(c.Subcommands)
		var required []*cli.StringFlag
		for _, f := range c.Flags {
			if f, ok := f.(*cli.StringFlag); ok && f.Required {
				f.Required = false
				f.Usage += " (required)"
				required = append(required, f)
			}
		}
		if required == nil {
			continue
		}
		next := c.Before
		c.Before = func(c *cli.Context) error {
			var missing []string
			for _, f := range required {
				if !c.IsSet(f.Name) {
					missing = append(missing, "--"+f.Name)
				}
			}
			if len(missing) > 0 {
				verb := "are"
				if len(missing) == 1 {
					verb = "is"
				}
				return fault.Usage(fmt.Errorf("%s %s required; run %s --help for the flags", strings.Join(missing, " and "), verb, c.Command.HelpName))
			}
			if next != nil {
				return next(c)
			}
			return nil
		}
	}
}
