package cmd

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/configs"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name:        "config",
		Usage:       "list or show the built-in example configurations",
		Description: "pretrain and finetune accept their names: ecospa pretrain -c quickstart. docs/run-file.md lists every key of a run file.",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the examples", Before: noArguments(""),
				Action: func(c *cli.Context) error {
					t := units.NewTable("name", "what it is")
					for _, name := range configs.Names() {
						text, err := configs.Read(name)
						if err != nil {
							return err
						}
						t.Add(name, configs.Title(text))
					}
					t.Print(c.App.Writer)
					return nil
				},
			},
			{
				Name: "show", Usage: "print an example", ArgsUsage: "NAME",
				Action: func(c *cli.Context) error {
					if c.Args().Len() != 1 {
						return fault.Usage(fmt.Errorf("config show takes one name, of %s", strings.Join(configs.Names(), ", ")))
					}
					text, err := configs.Read(c.Args().First())
					if err != nil {
						return fault.Usage(err)
					}
					_, err = c.App.Writer.Write(text)
					return err
				},
			},
		},
	}
}
