package configs

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names are the examples' names, sorted.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // an embedded directory
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return names
}

// Read is the YAML of an example.
func Read(name string) ([]byte, error) {
	text, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no example %q, expected one of %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}

// Title is what an example's header begins with, up to the first comma, colon or full stop that is
// not in parentheses.
func Title(text []byte) string {
	var head []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if line == "" {
			break
		}
		head = append(head, line)
	}
	title, depth := strings.Join(head, " "), 0
	for i, c := range title {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0 && strings.ContainsRune(",:.", c) && (i+1 == len(title) || title[i+1] == ' '):
			return title[:i]
		}
	}
	return title
}
