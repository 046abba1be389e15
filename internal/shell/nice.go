package shell

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/priority"
)

// AddNice gives the commands of these names, which run for long, a flag --nice: the
// process steps back behind others from before its first work on.
func AddNice(commands []*cli.Command, names ...string) {
	for _, c := range commands {
		if !slices.Contains(names, c.Name) {
			continue
		}
		c.Flags = append(c.Flags, &cli.IntFlag{Name: "nice", Usage: "run at a lower priority, `N` from 1 to 19 as in nice(1); 0 leaves the priority unchanged"})
		next := c.Before
		c.Before = func(c *cli.Context) error {
			n := c.Int("nice")
			if n < 0 || n > 19 {
				return fault.Usage(fmt.Errorf("--nice is %d, expected 0 to 19", n))
			}
			if n > 0 {
				if err := priority.Lower(n); err != nil {
					return err
				}
			}
			if next != nil {
				return next(c)
			}
			return nil
		}
	}
}
