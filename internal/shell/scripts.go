package shell

// CompleteFlag asks the program what may stand in place of the word before it.
const CompleteFlag = "--generate-bash-completion"

// Completions are the scripts by shell. They ask the binary itself, which knows its flags and their values, and which
// files a flag takes. A candidate that ends in "/" or "=" is one to go on from. bash takes
// words apart at "=": they are put together again for the question, and for the answer only
// what follows the last "=" is replaced.
var Completions = map[string]string{
	"bash": `_ecospa() {
  local IFS=$'\n' w join= words=() cur had=
  for w in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ $w == = || -n $join ]] && ((${#words[@]})); then words[-1]+=$w; else words+=("$w"); fi
    [[ $w == = ]] && join=1 || join=
  done
  cur=${words[-1]}
  [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]] && had=${cur%=*}=
  COMPREPLY=($(compgen -W "$("${words[@]}" ` + CompleteFlag + ` 2>/dev/null)" -- "$cur"))
  [[ -n $had ]] && COMPREPLY=("${COMPREPLY[@]#"$had"}")
  [[ ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
  return 0
}
complete -F _ecospa ecospa
`,
	"zsh": `#compdef ecospa
_ecospa() {
  local -a all dirs rest
  all=("${(@f)$("${(@)words[1,CURRENT-1]}" "${words[CURRENT]}" ` + CompleteFlag + ` 2>/dev/null)}")
  dirs=(${(M)all:#*[/=]}) rest=(${all:#*[/=]})
  compadd -a rest
  compadd -S '' -a dirs
}
compdef _ecospa ecospa
`,
	"fish": `complete -c ecospa -f -a '(set -l t (commandline -opc); $t (commandline -ct) ` + CompleteFlag + ` 2>/dev/null)'
`,
}
