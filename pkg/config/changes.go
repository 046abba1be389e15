package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// flatten lists the scalar values of a document by key path.
func flatten(n *yaml.Node, path string, out map[string]string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			flatten(n.Content[i+1], join(path, n.Content[i].Value), out)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			flatten(c, fmt.Sprintf("%s[%d]", path, i), out)
		}
	default:
		out[path] = n.Value
	}
}

// Change is a key whose value differs between two run files.
type Change struct{ Key, From, To string }

func (c Change) String() string {
	return fmt.Sprintf("%s from %s to %s", c.Key, quote(c.From), quote(c.To))
}

// differing lists the keys of which two documents have different values, or only
// one has any, sorted.
func differing(a, b map[string]string) []Change {
	var out []Change
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			out = append(out, Change{k, v, w})
		}
	}
	for k, w := range b {
		if _, ok := a[k]; !ok {
			out = append(out, Change{k, "", w})
		}
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.Key, y.Key) })
	return out
}
