package jinja

import (
	"errors"
	"slices"
	"strings"
)

// list makes a list of strings.
func (r *run) list(parts []string) (any, error) {
	l := &List{Items: make([]any, len(parts))}
	for i, p := range parts {
		l.Items[i] = p
	}
	return l, r.spend(1+len(parts), 32*len(parts))
}

// splitArgs are the separator of a split, "" for white space, and how often it is split, -1 for always.
func splitArgs(a arguments) (sep string, n int, err error) {
	n = -1
	if v := a.get(0, "sep", nil); v != nil {
		if sep, err = a.text(0, "sep"); err == nil && sep == "" {
			err = errors.New("an empty separator")
		}
	}
	if v, ok := a.get(1, "maxsplit", int64(-1)).(int64); ok && v >= 0 {
		n = int(min(v, 1<<30))
	}
	return sep, n, err
}

func split(r *run, s string, a arguments) (any, error) {
	sep, n, err := splitArgs(a)
	if err != nil {
		return nil, err
	}
	if sep != "" {
		if n >= 0 {
			n++
		}
		return r.list(strings.SplitN(s, sep, n))
	}
	var parts []string
	for {
		s = strings.TrimLeftFunc(s, isBlank)
		end := strings.IndexFunc(s, isBlank)
		if s == "" {
			break
		}
		if end < 0 || n >= 0 && len(parts) == n {
			if len(parts) != n {
				s = strings.TrimRightFunc(s, isBlank)
			}
			parts = append(parts, s)
			break
		}
		parts, s = append(parts, s[:end]), s[end:]
	}
	return r.list(parts)
}

func rsplit(r *run, s string, a arguments) (any, error) {
	sep, n, err := splitArgs(a)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return split(r, s, a)
	}
	var parts []string
	for sep != "" && len(parts) < n {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		parts, s = append(parts, s[i+len(sep):]), s[:i]
	}
	for sep == "" && len(parts) < n {
		s = strings.TrimRightFunc(s, isBlank)
		i := strings.LastIndexFunc(s, isBlank)
		if i < 0 {
			break
		}
		rest := strings.TrimLeftFunc(s[i:], isBlank)
		parts, s = append(parts, rest), s[:i]
	}
	if sep == "" {
		s = strings.TrimRightFunc(s, isBlank)
	}
	if sep != "" || s != "" {
		parts = append(parts, s)
	}
	slices.Reverse(parts)
	return r.list(parts)
}

func splitLines(r *run, s string, a arguments) (any, error) {
	keep := truth(a.get(0, "keepends", false))
	var parts []string
	for s != "" {
		end := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if end < 0 {
			parts = append(parts, s)
			break
		}
		n := 1
		switch {
		case strings.HasPrefix(s[end:], "\r\n"):
			n = 2
		case s[end] == 0xc2:
			n = 2
		case s[end] == 0xe2:
			n = 3
		}
		line := s[:end]
		if keep {
			line = s[:end+n]
		}
		parts, s = append(parts, line), s[end+n:]
	}
	return r.list(parts)
}

// replace is the method and the filter.
func replace(r *run, s string, a arguments) (any, error) {
	from, err := a.text(0, "old")
	if err != nil {
		return nil, err
	}
	to, err := a.text(1, "new")
	if err != nil {
		return nil, err
	}
	n := -1
	if v, ok := a.get(2, "count", nil).(int64); ok {
		n = int(min(v, 1<<30))
	}
	found := strings.Count(s, from)
	if n >= 0 {
		found = min(found, n)
	}
	if len(to) > 0 && found > r.limits.Bytes/len(to) {
		return nil, r.spend(0, r.limits.Bytes+1)
	}
	if err := r.spend(1, len(s)+found*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

// join puts strings together.
func (r *run) join(v any, by string) (any, error) {
	items, err := r.items(v)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, item := range items {
		s, err := r.str(item)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			s = by + s
		}
		if err := r.spend(1, len(s)); err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}
