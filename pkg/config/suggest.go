package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// unknown is the message about a key that a section does not have: the key that
// may be meant, or the keys that there are.
func (d decoder) unknown(section reflect.Type, path, key string) string {
	keys := keysOf(section)
	msg := fmt.Sprintf("unknown key %s in %s", quote(key), name(path))
	if near := nearest(key, keys); near != "" {
		return fmt.Sprintf("%s, did you mean %s? Its keys are %s", msg, join(path, near), strings.Join(keys, ", "))
	}
	if there := d.elsewhere(key); len(there) > 0 {
		return fmt.Sprintf("%s, did you mean %s? Its keys are %s", msg, strings.Join(there, " or "), strings.Join(keys, ", "))
	}
	return fmt.Sprintf("%s, expected one of %s", msg, strings.Join(keys, ", "))
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		keys = append(keys, keyOf(t.Field(i)))
	}
	sort.Strings(keys)
	return keys
}

// elsewhere lists the paths of keys of that name in other sections.
func (d decoder) elsewhere(key string) (paths []string) {
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := join(path, keyOf(f))
			if keyOf(f) == key {
				paths = append(paths, at)
			}
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, at)
			}
		}
	}
	walk(d.root, "")
	return paths
}

// nearest is the key that a slip of the fingers turns into what was written:
// one edit for short keys, two for longer ones. "" when none is near.
func nearest(key string, keys []string) string {
	best, limit := "", min(2, (len(key)+1)/3)
	for _, k := range keys {
		if d := edits(key, k); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

// edits is the number of letters to insert, remove, change or swap with a
// neighbour to turn a into b (optimal string alignment).
func edits(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	var rows [3][42]int // the row before the last, the last, the present one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		rows[2][0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			n := min(rows[1][j]+1, rows[2][j-1]+1, rows[1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[0][j-2]+1)
			}
			rows[2][j] = n
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}
