package jinja

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonWriter is Python's json.dumps with ensure_ascii off.
type jsonWriter struct {
	r         *run
	b         strings.Builder
	indent    string // empty: on one line
	item, key string // separators
	sorted    bool
}

// toJSON is the filter tojson as transformers has it.
func toJSON(r *run, v any, a arguments) (any, error) {
	if err := a.check("tojson", "ensure_ascii", "indent", "separators", "sort_keys"); err != nil {
		return nil, err
	}
	if truth(a.get(0, "ensure_ascii", false)) {
		return nil, errors.New("tojson with ensure_ascii is not supported")
	}
	w := &jsonWriter{r: r, item: ", ", key: ": ", sorted: truth(a.get(3, "sort_keys", false))}
	switch n := a.get(1, "indent", nil).(type) {
	case int64:
		if n < 0 || n > 16 {
			return nil, fmt.Errorf("tojson with indent %d, expected 0 to 16", n)
		}
		w.indent, w.item = "\n"+strings.Repeat(" ", int(n)), ","
	case string:
		w.indent, w.item = "\n"+n, ","
	case nil:
	default:
		return nil, fmt.Errorf("tojson with an indent of type %s", kind(n))
	}
	if l, ok := a.get(2, "separators", nil).(*List); ok && len(l.Items) == 2 {
		item, okI := l.Items[0].(string)
		key, okK := l.Items[1].(string)
		if !okI || !okK {
			return nil, errors.New("tojson: separators are no strings")
		}
		w.item, w.key = item, key
	}
	err := w.value(v, 1)
	return w.b.String(), err
}

// line begins a line of an indented text.
func (w *jsonWriter) line(depth int) error {
	if w.indent == "" {
		return nil
	}
	w.b.WriteByte('\n')
	n := len(w.indent) - 1
	if err := w.r.spend(0, n*depth); err != nil {
		return err
	}
	w.b.WriteString(strings.Repeat(w.indent[1:], depth))
	return nil
}

func (w *jsonWriter) value(v any, depth int) error {
	if err := w.r.enter(); err != nil {
		return err
	}
	defer w.r.leave()
	if err := w.r.spend(1, 8); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(v))
	case int64:
		w.b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		w.b.WriteString(floatText(v))
	case string:
		return w.text(v)
	case *List:
		return w.all('[', ']', len(v.Items), depth, func(i int) error { return w.value(v.Items[i], depth+1) })
	case *Dict:
		keys := v.keys
		if w.sorted {
			keys = append([]any(nil), keys...)
			sort.SliceStable(keys, func(i, j int) bool { return keyText(keys[i]) < keyText(keys[j]) })
		}
		return w.all('{', '}', len(keys), depth, func(i int) error {
			if err := w.text(keyText(keys[i])); err != nil {
				return err
			}
			w.b.WriteString(w.key)
			return w.value(v.values[keys[i]], depth+1)
		})
	default:
		return fmt.Errorf("tojson of a value of type %s", kind(v))
	}
	return nil
}

// all writes n values between brackets.
func (w *jsonWriter) all(open, end byte, n, depth int, one func(i int) error) error {
	w.b.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.line(depth); err != nil {
			return err
		}
		if err := one(i); err != nil {
			return err
		}
	}
	if n > 0 {
		if err := w.line(depth - 1); err != nil {
			return err
		}
	}
	w.b.WriteByte(end)
	return nil
}

// keyText is a key as JSON has it.
func keyText(k any) string {
	switch k := k.(type) {
	case string:
		return k
	case int64:
		return strconv.FormatInt(k, 10)
	case float64:
		return floatText(k)
	case bool:
		return strconv.FormatBool(k)
	}
	return "null"
}

func (w *jsonWriter) text(s string) error {
	if err := w.r.spend(0, len(s)); err != nil {
		return err
	}
	w.b.WriteByte('"')
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch at := strings.IndexByte("\"\\\n\r\t\b\f", s[i]); {
		case at >= 0:
			w.b.WriteByte('\\')
			w.b.WriteByte(`"\nrtbf`[at])
		case c < 0x20:
			fmt.Fprintf(&w.b, `\u%04x`, c)
		default:
			w.b.WriteString(s[i : i+n])
		}
		i += n
	}
	w.b.WriteByte('"')
	return nil
}
