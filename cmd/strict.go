package cmd

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/bundle"
)

const strictFlag = "strict-config"

// beStrict gives --strict-config to a command that opens a model.
func beStrict(c *cli.Command) {
	opens := func(f cli.Flag) bool { return f.Names()[0] == "model" || f.Names()[0] == "from" }
	if !slices.ContainsFunc(c.Flags, opens) {
		return
	}
	c.Flags = append(c.Flags, &cli.BoolFlag{Name: strictFlag, Usage: "treat unknown keys of the model's config.json as errors, not notes"})
	before := c.Before
	c.Before = func(c *cli.Context) error {
		if before != nil {
			if err := before(c); err != nil {
				return err
			}
		}
		for _, path := range []string{c.String("model"), c.String("from"), c.Args().First()} { // inspect DIR
			if path != "" && c.Bool(strictFlag) {
				return bundle.CheckConfig(path)
			}
		}
		return nil
	}
}
