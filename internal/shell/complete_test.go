package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestScripts has the shells that are here ask a program that answers with what it was asked:
// bash with "=" in words, which it takes apart itself.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	answer := `#!/bin/sh
for last; do before=$word word=$last; done
case $before in
pru) echo prune ;;
ru) echo runs/; echo run.yaml ;;
model.family=*) echo model.family=llama; echo model.family=llava ;;
tr) echo train.steps= ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "ecospa"), []byte(answer), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, script := range Completions {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ask := map[string]func() []string{
		"bash": func() []string {
			return []string{"bash", "-c", `. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); compopt() { echo "$@" >&2; }; _ecospa; printf "%s\n" "${COMPREPLY[@]}"`, filepath.Join(dir, "bash")}
		},
		"fish": func() []string {
			return []string{"fish", "--no-config", "-c", `source $argv[1]; complete -C (string join -- " " $argv[2..])`, filepath.Join(dir, "fish")}
		},
	}
	for _, c := range []struct {
		shell string
		words string // as the shell takes them apart
		want  []string
		open  bool // no blank follows
	}{
		{"bash", "ecospa pru", []string{"prune"}, false},
		{"bash", "ecospa report ru", []string{"runs/", "run.yaml"}, true},
		{"bash", "ecospa pretrain --set tr", []string{"train.steps="}, true},
		{"bash", "ecospa pretrain --set model.family = ll", []string{"llama", "llava"}, false},
		{"bash", "ecospa pretrain --set model.family =", []string{"llama", "llava"}, false},
		{"fish", "ecospa pru", []string{"prune"}, false},
		{"fish", "ecospa pretrain --set model.family=ll", []string{"model.family=llama", "model.family=llava"}, false},
	} {
		if _, err := exec.LookPath(c.shell); err != nil {
			t.Logf("NOT RUN: no %s here", c.shell)
			continue
		}
		words := strings.Fields(c.words)
		args := append(ask[c.shell](), words...)
		var log strings.Builder
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stderr = &log
		out, err := cmd.Output()
		got := strings.Fields(string(out))
		if err != nil || !slices.Equal(got, c.want) || (log.String() == "-o nospace\n") != c.open {
			t.Errorf("%s completes %q to %q (%v, %q), expected %q", c.shell, c.words, got, err, log.String(), c.want)
		}
	}
}
