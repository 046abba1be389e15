package shell

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Hints say what flags take, by their names.
type Hints struct {
	Values     map[string]func() []string // of those that take one of a list, the same in every command
	Extensions map[string]func() []string // of the files that a flag takes besides directories; a nil function is all files
	// Own is the values of a flag of one command, nil for none; besides says that they come
	// with what the flag has otherwise.
	Own     func(command, flag string) (values []string, besides bool)
	Scripts string // the command that prints Completions
}

// Of are the values of a command's flag, where cur is typed of the value.
func (h Hints) Of(c *cli.Command, flag, cur string) []string {
	own, besides := h.Own(c.Name, flag)
	if own != nil && !besides {
		return own
	}
	if list := h.Values[flag]; list != nil {
		return append(own, list()...)
	}
	of, ok := h.Extensions[flag]
	switch {
	case !ok:
		return own
	case of == nil:
		return append(own, files(cur, nil)...)
	}
	return append(own, files(cur, append(of(), "/"))...)
}

// Complete prints what may stand in place of the last word, one a line: commands, the
// flags of the command, the values of the flag before it, or files that it takes.
func (h Hints) Complete(app *cli.App, words []string, out io.Writer) {
	if len(words) == 0 {
		return
	}
	cur, before := words[len(words)-1], words[:len(words)-1]
	c, subs := commandOf(app, before)
	var list []string
	switch flag := valueFlag(c, before); {
	case flag != "":
		list = h.Of(c, flag, cur)
	case strings.HasPrefix(cur, "-"):
		list = flagsOf(c)
	case len(subs) > 0:
		for _, s := range subs {
			list = append(list, s.Name)
		}
	case c != nil && c.Name == h.Scripts:
		list = slices.Sorted(maps.Keys(Completions))
	case c != nil && c.ArgsUsage != "":
		list = files(cur, nil)
	}
	for _, s := range list {
		if strings.HasPrefix(s, cur) {
			fmt.Fprintln(out, s)
		}
	}
}

// commandOf is the command that the words name, and those that may follow it.
func commandOf(app *cli.App, words []string) (c *cli.Command, subs []*cli.Command) {
	subs = app.Commands
	for _, w := range words {
		i := slices.IndexFunc(subs, func(s *cli.Command) bool { return s.Name == w })
		if i >= 0 {
			c, subs = subs[i], subs[i].Subcommands
		}
	}
	return c, subs
}

// flagsOf are the long forms of a command's flags; nil is the program itself.
func flagsOf(c *cli.Command) []string {
	list := []string{"--help"}
	if c == nil {
		return append(list, "--version")
	}
	for _, f := range c.Flags {
		list = append(list, "--"+f.Names()[0])
	}
	return list
}

// valueFlag is the name of the flag whose value comes next; "" for none.
func valueFlag(c *cli.Command, words []string) string {
	if c == nil || len(words) == 0 || !strings.HasPrefix(words[len(words)-1], "-") {
		return ""
	}
	last := strings.TrimLeft(words[len(words)-1], "-")
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() && slices.Contains(f.Names(), last) {
			return f.Names()[0]
		}
	}
	return ""
}

// files are the directories, with a "/", and the files with one of the extensions (nil
// is all) that begin with cur.
func files(cur string, extensions []string) (list []string) {
	dir, name := filepath.Split(cur)
	entries, err := os.ReadDir(filepath.Join(".", dir))
	if filepath.IsAbs(cur) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) || strings.HasPrefix(e.Name(), ".") && name == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // through links
		switch {
		case err != nil:
		case info.IsDir():
			list = append(list, dir+e.Name()+"/")
		case extensions == nil || slices.ContainsFunc(extensions, func(x string) bool { return strings.HasSuffix(e.Name(), x) }):
			list = append(list, dir+e.Name())
		}
	}
	return list
}
