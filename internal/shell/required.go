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
		var required []string
		take := func(name string, is *bool, usage *string) {
			if *is {
				*is, *usage = false, *usage+" (required)"
				required = append(required, name)
			}
		}
		for _, f := range c.Flags {
			switch f := f.(type) {
			case *cli.StringFlag:
				take(f.Name, &f.Required, &f.Usage)
			case *cli.IntFlag:
				take(f.Name, &f.Required, &f.Usage)
			}
		}
		if required == nil {
			continue
		}
		next := c.Before
		c.Before = func(c *cli.Context) error {
			var missing []string
			for _, name := range required {
				if !c.IsSet(name) {
					missing = append(missing, "--"+name)
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
