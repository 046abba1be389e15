package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type stringMethod = func(r *run, s string, a arguments) (any, error)

// stringMethods are Python's methods of strings.
var stringMethods map[string]stringMethod

// isBlank is Python's white space.
func isBlank(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

func init() {
	mapped := func(f func(string) string) stringMethod {
		return func(r *run, s string, a arguments) (any, error) {
			out := f(s)
			if err := a.check("this method"); err != nil {
				return nil, err
			}
			return out, r.spend(1, len(out))
		}
	}
	all := func(f func(rune) bool) stringMethod {
		return func(r *run, s string, _ arguments) (any, error) {
			return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0, r.spend(1+len(s)/64, 0)
		}
	}
	cased := func(own, other func(string) string) stringMethod {
		return func(r *run, s string, _ arguments) (any, error) {
			return s == own(s) && s != other(s), r.spend(1+len(s)/64, 0)
		}
	}
	stringMethods = map[string]stringMethod{
		"strip": stripMethod(true, true), "lstrip": stripMethod(true, false), "rstrip": stripMethod(false, true),
		"upper": mapped(strings.ToUpper), "lower": mapped(strings.ToLower), "casefold": mapped(strings.ToLower),
		"title": mapped(title), "capitalize": mapped(capitalize),
		"isdigit": all(unicode.IsDigit), "isnumeric": all(unicode.IsNumber), "isalpha": all(unicode.IsLetter), "isspace": all(isBlank),
		"isalnum": all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
		"isupper": cased(strings.ToUpper, strings.ToLower), "islower": cased(strings.ToLower, strings.ToUpper),
		"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
		"removeprefix": cut(strings.TrimPrefix), "removesuffix": cut(strings.TrimSuffix),
		"find": find(strings.Index, false), "rfind": find(strings.LastIndex, false), "index": find(strings.Index, true),
		"split": split, "rsplit": rsplit, "splitlines": splitLines, "partition": partition(strings.Index), "rpartition": partition(strings.LastIndex),
		"replace": func(r *run, s string, a arguments) (any, error) { return replace(r, s, a) },
		"join": func(r *run, s string, a arguments) (any, error) {
			return r.join(a.get(0, "iterable", nil), s)
		},
		"count": func(r *run, s string, a arguments) (any, error) {
			t, err := a.text(0, "sub")
			return int64(strings.Count(s, t)), err
		},
		"zfill": func(r *run, s string, a arguments) (any, error) {
			n, ok := a.get(0, "width", nil).(int64)
			if !ok || n > 1000 {
				return nil, errors.New("expected a width up to 1000")
			}
			sign := ""
			if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
				sign, s = s[:1], s[1:]
			}
			return sign + strings.Repeat("0", max(0, int(n)-len(sign)-utf8.RuneCountInString(s))) + s, r.spend(1, 1000)
		},
	}
}

// text is an argument that must be a string.
func (a arguments) text(at int, name string) (string, error) {
	s, ok := a.get(at, name, nil).(string)
	if !ok {
		return "", fmt.Errorf("argument %q is of type %s, expected a string", name, kind(a.get(at, name, nil)))
	}
	return s, nil
}

func stripMethod(left, right bool) stringMethod {
	return func(r *run, s string, a arguments) (any, error) {
		is := isBlank
		if v := a.get(0, "chars", nil); v != nil {
			set, err := a.text(0, "chars")
			if err != nil {
				return nil, err
			}
			is = func(c rune) bool { return strings.ContainsRune(set, c) }
		}
		if left {
			s = strings.TrimLeftFunc(s, is)
		}
		if right {
			s = strings.TrimRightFunc(s, is)
		}
		return s, r.spend(1+len(s)/64, 0)
	}
}

func affix(has func(s, t string) bool) stringMethod {
	return func(_ *run, s string, a arguments) (any, error) {
		if l, ok := a.get(0, "prefix", nil).(*List); ok {
			for _, v := range l.Items {
				if t, ok := v.(string); ok && has(s, t) {
					return true, nil
				}
			}
			return false, nil
		}
		t, err := a.text(0, "prefix")
		return err == nil && has(s, t), err
	}
}

func cut(f func(s, t string) string) stringMethod {
	return func(_ *run, s string, a arguments) (any, error) {
		t, err := a.text(0, "prefix")
		return f(s, t), err
	}
}

func find(f func(s, t string) int, must bool) stringMethod {
	return func(_ *run, s string, a arguments) (any, error) {
		t, err := a.text(0, "sub")
		if err != nil {
			return nil, err
		}
		n := f(s, t)
		if n < 0 {
			if must {
				return nil, errors.New("substring not found")
			}
			return int64(-1), nil
		}
		return int64(utf8.RuneCountInString(s[:n])), a.check("this method", "sub")
	}
}

func partition(f func(s, t string) int) stringMethod {
	return func(_ *run, s string, a arguments) (any, error) {
		t, err := a.text(0, "sep")
		if err != nil || t == "" {
			return nil, errors.Join(err, errors.New("an empty separator"))
		}
		parts := [3]any{s, "", ""}
		if n := f(s, t); n >= 0 {
			parts = [3]any{s[:n], t, s[n+len(t):]}
		}
		return &List{parts[:], true}, nil
	}
}

// title begins each word with a capital, as Python does: a word is a run of letters.
func title(s string) string {
	within := false
	return strings.Map(func(c rune) rune {
		letter := unicode.IsLetter(c)
		if letter && within {
			c = unicode.ToLower(c)
		} else if letter {
			c = unicode.ToTitle(c)
		}
		within = letter
		return c
	}, s)
}

func capitalize(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToTitle(c)) + strings.ToLower(s[n:])
}
