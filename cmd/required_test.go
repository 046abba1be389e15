package cmd

import (
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestRequiredFlags gives every command that needs flags none of them: one line on
// standard error names each, and nothing is printed where results go.
func TestRequiredFlags(t *testing.T) {
	app := newApp(strings.NewReader(""), io.Discard, io.Discard)
	checked := 0
	var walk func(path []string, commands []*cli.Command)
	walk = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			path := append(path[:len(path):len(path)], c.Name)
			walk(path, c.Subcommands)
			var names []string
			for _, f := range c.Flags {
				if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
					names = append(names, "--"+f.Names()[0])
				}
			}
			if names == nil {
				continue
			}
			checked++
			code, out, log := runCommand(t, t.Context(), path...)
			if code != exitUsage || out != "" || strings.Count(log, "\n") != 1 {
				t.Errorf("%v: exit code %d, %q on standard output, %q on standard error", path, code, out, log)
			}
			for _, name := range names {
				if !strings.Contains(log, name+" ") {
					t.Errorf("%v: %q does not name %s", path, log, name)
				}
			}
		}
	}
	walk([]string{"ecospa"}, app.Commands)
	if checked < 7 {
		t.Errorf("%d commands with required flags, expected 7 at least", checked)
	}
}
