package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
)

// The scripts ask the binary itself (urfave/cli answers --generate-bash-completion).
var completions = map[string]string{
	"bash": `_ecospa() {
  local cur opts
  cur="${COMP_WORDS[COMP_CWORD]}"
  opts=$("${COMP_WORDS[@]:0:$COMP_CWORD}" ${cur:+"$cur"} --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$opts" -f -- "$cur"))
}
complete -F _ecospa ecospa
`,
	"zsh": `#compdef ecospa
_ecospa() {
  local -a opts
  opts=("${(@f)$(${words[@]:0:#words[@]-1} ${words[-1]:+${words[-1]}} --generate-bash-completion 2>/dev/null)}")
  _describe 'values' opts
  _files
}
compdef _ecospa ecospa
`,
	"fish": `complete -c ecospa -a '(set -l t (commandline -opc) (commandline -ct); $t --generate-bash-completion 2>/dev/null)'
`,
}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a shell completion script: bash, zsh or fish",
		ArgsUsage: "SHELL",
		Description: "bash: source <(ecospa completion bash)    zsh: ecospa completion zsh > ~/.zfunc/_ecospa\n" +
			"fish: ecospa completion fish > ~/.config/fish/completions/ecospa.fish",
		Action: func(c *cli.Context) error {
			script, ok := completions[c.Args().First()]
			if !ok || c.Args().Len() != 1 {
				return fault.Usage(fmt.Errorf("shell is %q, expected bash, zsh or fish", c.Args().First()))
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}
