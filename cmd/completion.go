package cmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
)

// completeFlag asks the program what may stand in place of the word before it.
const completeFlag = "--generate-bash-completion"

// The scripts ask the binary itself, which knows its flags and their values, and which
// files a flag takes. A candidate that ends in "/" is a directory to go on from.
var completions = map[string]string{
	"bash": `_ecospa() {
  local cur="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
  COMPREPLY=($(compgen -W "$("${COMP_WORDS[@]:0:$COMP_CWORD}" "$cur" ` + completeFlag + ` 2>/dev/null)" -- "$cur"))
  [[ ${COMPREPLY[0]} == */ ]] && compopt -o nospace
  return 0
}
complete -F _ecospa ecospa
`,
	"zsh": `#compdef ecospa
_ecospa() {
  local -a all dirs rest
  all=("${(@f)$("${(@)words[1,CURRENT-1]}" "${words[CURRENT]}" ` + completeFlag + ` 2>/dev/null)}")
  dirs=(${(M)all:#*/}) rest=(${all:#*/})
  compadd -a rest
  compadd -S '' -a dirs
}
compdef _ecospa ecospa
`,
	"fish": `complete -c ecospa -f -a '(set -l t (commandline -opc); $t (commandline -ct) ` + completeFlag + ` 2>/dev/null)'
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
