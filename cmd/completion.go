package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/shell"
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a shell completion script: bash, zsh or fish",
		ArgsUsage: "SHELL",
		Description: "bash: source <(ecospa completion bash)    zsh: ecospa completion zsh > ~/.zfunc/_ecospa\n" +
			"fish: ecospa completion fish > ~/.config/fish/completions/ecospa.fish",
		Action: func(c *cli.Context) error {
			script, ok := shell.Completions[c.Args().First()]
			if !ok || c.Args().Len() != 1 {
				return fault.Usage(fmt.Errorf("shell is %q, expected bash, zsh or fish", c.Args().First()))
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}
