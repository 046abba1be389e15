# Prints what an interactive zsh completes a line to: release_complete.zsh LINE
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; autoload -U compinit; compinit -u -D; zstyle ":completion:*" list-prompt ""; LISTMAX=1000; echo READY'
zpty -r z out '*READY*READY*'
zpty -n -w z "$1"$'\t\t'
sleep 1
zpty -w z $'\x15echo DONE'
zpty -r z out '*DONE*'
print -r -- "$out" | tr '\r' '\n' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' | tr -s ' ' '\n' | sort -u | grep -x '[a-z-][a-z-]*' | grep -v -x -e 'z' -e 'echo'
