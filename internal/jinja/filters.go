package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type filterFunc = func(r *run, v any, a arguments) (any, error)

// filters are what may stand behind a bar.
var filters map[string]filterFunc

func init() {
	filters = map[string]filterFunc{
		"abs": filterAbs, "int": filterInt, "float": filterFloat, "round": filterRound, "string": filterString, "length": filterLength, "count": filterLength,
		"default": filterDefault, "d": filterDefault, "tojson": toJSON, "indent": filterIndent, "join": filterJoin, "replace": filterReplace,
		"trim": filterTrim, "upper": viaMethod("upper"), "lower": viaMethod("lower"), "title": filterTitle, "capitalize": viaMethod("capitalize"),
		"safe": filterSame, "format": filterFormat, "escape": filterEscape, "e": filterEscape,
		"first": filterFirst, "last": filterLast, "list": filterList, "reverse": filterReverse, "sort": filterSort, "unique": filterUnique,
		"items": filterItems, "dictsort": filterDictSort, "map": filterMap, "sum": filterSum, "min": filterExtreme(-1), "max": filterExtreme(1),
		"select": selecting(false, true), "reject": selecting(false, false), "selectattr": selecting(true, true), "rejectattr": selecting(true, false),
		"attr": func(_ *run, v any, a arguments) (any, error) {
			name, err := a.text(0, "name")
			if err != nil {
				return nil, err
			}
			return attribute(v, name, "a value")
		},
	}
}

// evalFilter evaluates x|filter.
func (r *run) evalFilter(x *filterExpr) (any, error) {
	v, err := r.eval(x.x)
	if err != nil {
		return nil, err
	}
	return r.filter(v, x.f)
}

func (r *run) filter(v any, f filterCall) (any, error) {
	a, err := r.args(f.args)
	if err != nil {
		return nil, err
	}
	known := filters[f.name] // Jinja2 looks for it when it gets there, as well
	if known == nil {
		return nil, unsupported("filter", f.name)
	}
	out, err := known(r, v, a)
	if err != nil {
		return nil, fmt.Errorf("filter %s: %w", f.name, err)
	}
	return out, nil
}

func viaMethod(name string) filterFunc {
	return func(r *run, v any, a arguments) (any, error) {
		s, err := r.str(v)
		if err != nil {
			return nil, err
		}
		return stringMethods[name](r, s, a)
	}
}

// filterTitle begins words with a capital; unlike the method it takes white space, a
// dash or a bracket for what divides them.
func filterTitle(r *run, v any, _ arguments) (any, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	begins := true
	s = strings.Map(func(c rune) rune {
		up := begins
		if begins = isBlank(c) || strings.ContainsRune("-({[<", c); up {
			return unicode.ToUpper(c)
		}
		return unicode.ToLower(c)
	}, s)
	return s, r.spend(1, len(s))
}

func filterTrim(r *run, v any, a arguments) (any, error) { return viaMethod("strip")(r, v, a) }

func filterReplace(r *run, v any, a arguments) (any, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return replace(r, s, a)
}

func filterSame(_ *run, v any, _ arguments) (any, error) { return v, nil }

func filterString(r *run, v any, _ arguments) (any, error) { return r.str(v) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func filterEscape(r *run, v any, _ arguments) (any, error) {
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return escaper.Replace(s), r.spend(1, 5*len(s))
}

func filterLength(r *run, v any, _ arguments) (any, error) {
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), r.spend(1+len(v)/64, 0)
	case *List:
		return int64(len(v.Items)), nil
	case *Dict:
		return int64(len(v.keys)), nil
	case Undefined:
		return int64(0), nil
	}
	return nil, fmt.Errorf("a value of type %s has no length", kind(v))
}

func filterDefault(_ *run, v any, a arguments) (any, error) {
	_, undefined := v.(Undefined)
	if undefined || truth(a.get(1, "boolean", false)) && !truth(v) {
		return a.get(0, "default_value", ""), nil
	}
	return v, nil
}

func filterIndent(r *run, v any, a arguments) (any, error) {
	if err := a.check("indent", "width", "first", "blank"); err != nil {
		return nil, err
	}
	s, err := r.str(v)
	if err != nil {
		return nil, err
	}
	by := "    "
	switch w := a.get(0, "width", int64(4)).(type) {
	case int64:
		if w < 0 || w > 100 {
			return nil, fmt.Errorf("width %d, expected 0 to 100", w)
		}
		by = strings.Repeat(" ", int(w))
	case string:
		by = w
	}
	if err := r.spend(1, len(s)+(1+strings.Count(s, "\n"))*len(by)); err != nil {
		return nil, err
	}
	blank := truth(a.get(2, "blank", false))
	lines := strings.Split(s, "\n")
	for i := range lines {
		if i == 0 && !truth(a.get(1, "first", false)) || i > 0 && lines[i] == "" && !blank {
			continue
		}
		lines[i] = by + lines[i]
	}
	return strings.Join(lines, "\n"), nil
}

func filterJoin(r *run, v any, a arguments) (any, error) {
	by, err := r.str(a.get(0, "d", ""))
	if err != nil {
		return nil, err
	}
	if name := a.get(1, "attribute", nil); name != nil {
		if v, err = r.mapped(v, name, nil); err != nil {
			return nil, err
		}
	}
	return r.join(v, by)
}

func filterAbs(_ *run, v any, _ arguments) (any, error) {
	switch n := number(v).(type) {
	case int64:
		if n < 0 {
			return integers("-", 0, n)
		}
		return n, nil
	case float64:
		return math.Abs(n), nil
	}
	return nil, fmt.Errorf("a value of type %s, expected a number", kind(v))
}

func filterInt(_ *run, v any, a arguments) (any, error) {
	if f, ok := number(v).(float64); ok && math.Abs(f) < 1<<62 {
		return int64(f), nil
	}
	if n, ok := number(v).(int64); ok {
		return n, nil
	}
	if s, ok := v.(string); ok {
		s = strings.TrimFunc(s, isBlank)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f), nil
		}
	}
	return a.get(0, "default", int64(0)), nil
}

func filterFloat(_ *run, v any, a arguments) (any, error) {
	if n := number(v); n != nil {
		return toFloat(n), nil
	}
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isBlank), 64); err == nil {
			return f, nil
		}
	}
	return a.get(0, "default", 0.0), nil
}

func filterRound(_ *run, v any, a arguments) (any, error) {
	n := number(v)
	if n == nil {
		return nil, fmt.Errorf("a value of type %s, expected a number", kind(v))
	}
	places, ok := a.get(0, "precision", int64(0)).(int64)
	if !ok || places < -15 || places > 15 {
		return nil, errors.New("precision, expected -15 to 15")
	}
	scale := math.Pow(10, float64(places))
	f := toFloat(n) * scale
	switch a.get(1, "method", "common") {
	case "common":
		f = math.RoundToEven(f)
	case "ceil":
		f = math.Ceil(f)
	case "floor":
		f = math.Floor(f)
	default:
		return nil, errors.New("method, expected common, ceil or floor")
	}
	return f / scale, nil
}

// filterFormat is Python's % with %s, %d and %%.
func filterFormat(r *run, v any, a arguments) (any, error) {
	format, err := r.str(v)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	used := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			return nil, errors.New("a format that ends with %")
		}
		switch format[i] {
		case '%':
			b.WriteByte('%')
		case 's', 'd':
			if used == len(a.pos) {
				return nil, errors.New("fewer values than the format asks for")
			}
			s, err := r.str(a.pos[used])
			if err != nil {
				return nil, err
			}
			if err := r.spend(1, len(s)); err != nil {
				return nil, err
			}
			b.WriteString(s)
			used++
		default:
			return nil, fmt.Errorf("format %%%c is not supported", format[i])
		}
	}
	return b.String(), r.spend(1, len(format))
}
