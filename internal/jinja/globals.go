package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// globals are the functions that every template has.
var globals map[string]any

func init() {
	globals = map[string]any{}
	for name, f := range map[string]func(*run, arguments) (any, error){
		"range": rangeOf, "namespace": newNamespace, "dict": newDict, "raise_exception": raise, "strftime_now": strftimeNow,
	} {
		globals[name] = function{name, f}
	}
}

func raise(r *run, a arguments) (any, error) {
	s, err := r.str(a.get(0, "message", ""))
	if err != nil {
		return nil, err
	}
	return nil, raised(strings.Join(strings.Fields(s), " "))
}

// rangeOf is range(stop) or range(start, stop, step).
func rangeOf(r *run, a arguments) (any, error) {
	if len(a.pos) == 0 || len(a.pos) > 3 || len(a.names) > 0 {
		return nil, errors.New("expected 1 to 3 integers")
	}
	var n [3]int64
	for i, v := range a.pos {
		m, ok := number(v).(int64)
		if !ok {
			return nil, fmt.Errorf("an argument of type %s, expected an integer", kind(v))
		}
		n[i] = m
	}
	from, to, by := int64(0), n[0], int64(1)
	if len(a.pos) > 1 {
		from, to = n[0], n[1]
	}
	if len(a.pos) > 2 {
		by = n[2]
	}
	if by == 0 {
		return nil, errors.New("step 0")
	}
	l := &List{}
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if err := r.spend(1, 24); err != nil {
			return nil, err
		}
		l.Items = append(l.Items, i)
		if next := i + by; (next > i) != (by > 0) {
			break
		}
	}
	return l, nil
}

func newDict(r *run, a arguments) (any, error) {
	d := NewDict()
	if len(a.pos) > 0 {
		from, ok := a.pos[0].(*Dict)
		if !ok {
			return nil, fmt.Errorf("an argument of type %s, expected a dict", kind(a.pos[0]))
		}
		for _, k := range from.keys {
			d.Set(k, from.values[k])
		}
	}
	for i, name := range a.names {
		d.Set(name, a.named[i])
	}
	return d, r.spend(len(d.keys), 48*len(d.keys))
}

func newNamespace(r *run, a arguments) (any, error) {
	d, err := newDict(r, a)
	if err != nil {
		return nil, err
	}
	return namespace{d.(*Dict)}, nil
}

// strftimeNow prints the time of the rendering as Python's strftime does.
func strftimeNow(r *run, a arguments) (any, error) {
	format, ok := a.get(0, "format", nil).(string)
	if !ok {
		return nil, errors.New("expected a format")
	}
	layouts := map[byte]string{'d': "02", 'm': "01", 'Y': "2006", 'y': "06", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
		'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'j': "002", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05"}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		pad := format[i] != '-'
		if !pad && i+1 < len(format) {
			i++
		}
		layout, ok := layouts[format[i]]
		switch {
		case format[i] == '%':
			b.WriteByte('%')
		case !ok:
			return nil, fmt.Errorf("format %%%c is not supported", format[i])
		case pad:
			b.WriteString(r.now.Format(layout))
		default:
			b.WriteString(strings.TrimLeft(r.now.Format(layout), "0"))
		}
	}
	return b.String(), r.spend(1, b.Len())
}
