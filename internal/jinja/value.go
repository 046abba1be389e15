package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Undefined is the value of a name that stands for nothing: it prints as nothing, is
// false and empty, and anything else done with it is an error.
type Undefined struct{ name string }

// List is a list or a tuple.
type List struct {
	Items []any
	tuple bool
}

// Dict is a dictionary in the order in which its keys were set. Keys are strings; a
// number or bool as a key is kept beside the string that stands for it.
type Dict struct {
	keys   []any
	values map[any]any
}

// NewDict makes a dictionary.
func NewDict() *Dict { return &Dict{values: map[any]any{}} }

// Set sets a key; k is a string, number, bool or nil.
func (d *Dict) Set(k, v any) {
	if f, ok := k.(float64); ok && f == float64(int64(f)) {
		k = int64(f)
	}
	if _, ok := d.values[k]; !ok {
		d.keys = append(d.keys, k)
	}
	d.values[k] = v
}

// Get is the value of a key.
func (d *Dict) Get(k any) (any, bool) {
	switch k.(type) {
	case string, int64, bool, float64, nil:
		v, ok := d.values[k]
		return v, ok
	}
	return nil, false
}

// namespace is an object whose attributes a template can set.
type namespace struct{ *Dict }

// function is something to be called.
type function struct {
	name string
	call func(r *run, a arguments) (any, error)
}

// arguments are the values of a call.
type arguments struct {
	pos   []any
	names []string
	named []any
}

// get is the argument at a position (-1: by its name only) or of a name, or a default.
func (a arguments) get(at int, name string, otherwise any) any {
	if at >= 0 && at < len(a.pos) {
		return a.pos[at]
	}
	for i, n := range a.names {
		if n == name {
			return a.named[i]
		}
	}
	return otherwise
}

// check reports arguments beyond those of the names.
func (a arguments) check(what string, names ...string) error {
	if len(a.pos) > len(names) {
		return fmt.Errorf("%s with %d arguments, expected at most %d", what, len(a.pos), len(names))
	}
	for _, n := range a.names {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+n+" ") {
			return fmt.Errorf("%s: argument %.40q is not supported", what, n)
		}
	}
	return nil
}

// maxJSONDepth bounds the data that a template is given.
const maxJSONDepth = 100

// FromJSON makes a value of JSON; objects keep the order of their keys.
func FromJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decode(d, 0)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = fmt.Errorf("something behind the JSON value")
		}
	}
	return v, err
}

func decode(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("JSON nested deeper than %d", maxJSONDepth)
	}
	switch t := t.(type) {
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			l := &List{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err = d.Token()
			return l, err
		}
		o := NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.Set(k, v)
		}
		_, err = d.Token()
		return o, err
	}
	return t, nil
}

// kind names a value's type as Python does.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case Undefined:
		return "Undefined"
	}
	return "object"
}

// truth is Python's bool(v).
func truth(v any) bool {
	switch v := v.(type) {
	case nil, Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}
