package shell

// CompleteFlag asks the program what may stand in place of the word before it.
const CompleteFlag = "--generate-bash-completion"

// Completions are the scripts by shell. They ask the binary itself, which knows its flags and their values, and which
// files a flag takes. A candidate that ends in "/" is a directory to go on from.
var Completions = map[string]string{
	"bash": `_ecospa() {
  local cur="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
  COMPREPLY=($(compgen -W "$("${COMP_WORDS[@]:0:$COMP_CWORD}" "$cur" ` + CompleteFlag + ` 2>/dev/null)" -- "$cur"))
  [[ ${COMPREPLY[0]} == */ ]] && compopt -o nospace
  return 0
}
complete -F _ecospa ecospa
`,
	"zsh": `#compdef ecospa
_ecospa() {
  local -a all dirs rest
  all=("${(@f)$("${(@)words[1,CURRENT-1]}" "${words[CURRENT]}" ` + CompleteFlag + ` 2>/dev/null)}")
  dirs=(${(M)all:#*/}) rest=(${all:#*/})
  compadd -a rest
  compadd -S '' -a dirs
}
compdef _ecospa ecospa
`,
	"fish": `complete -c ecospa -f -a '(set -l t (commandline -opc); $t (commandline -ct) ` + CompleteFlag + ` 2>/dev/null)'
`,
}
