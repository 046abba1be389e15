package config

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// override applies one key.path=value. The value is YAML on one line, as strict
// as in a file; for a key that is text it is taken as it stands, and an empty one
// stands for no value.
func (d decoder) override(o string, into reflect.Value) error {
	path, value, ok := strings.Cut(o, "=")
	if !ok || path == "" {
		return fault{0, "expected KEY.PATH=VALUE"}
	}
	v, done := into, ""
	for _, key := range strings.Split(path, ".") {
		switch v.Kind() {
		case reflect.Struct:
			f, ok := field(v, key)
			if !ok {
				return fault{0, d.unknown(v.Type(), done, key)}
			}
			v, done = f, join(done, key)
			continue
		case reflect.Map: // the path's last key
			if key != "" && join(done, key) == path {
				return d.entry(v, key, value, path)
			}
		}
		return fault{0, fmt.Sprintf("%s is %s, it has no key %s", done, kindName(v.Type()), quote(key))}
	}
	n, err := oneValue(value, v.Type(), path)
	if err != nil {
		return err
	}
	return d.decode(n, v, path)
}

// entry sets one key of a map, beside those that it has.
func (d decoder) entry(m reflect.Value, key, value, path string) error {
	e := reflect.New(m.Type().Elem()).Elem()
	n, err := oneValue(value, e.Type(), path)
	if err != nil {
		return err
	}
	if err := d.decode(n, e, path); err != nil {
		return err
	}
	all := reflect.MakeMap(m.Type()) // the old one may be a default that others share
	for it := m.MapRange(); it.Next(); {
		all.SetMapIndex(it.Key(), it.Value())
	}
	all.SetMapIndex(reflect.ValueOf(key).Convert(m.Type().Key()), e)
	m.Set(all)
	return nil
}

// oneValue is an override's value as a node, without line numbers.
func oneValue(value string, t reflect.Type, path string) (*yaml.Node, error) {
	if t.Kind() == reflect.String {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}, nil
	}
	if value == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	}
	n, err := parse([]byte(value))
	if err != nil {
		return nil, fault{0, fmt.Sprintf("%s is %s, which is not one value in YAML", path, quote(value))}
	}
	if n == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: value}
	}
	forget(n)
	return n, nil
}

// forget drops the lines of a value that is in no file.
func forget(n *yaml.Node) {
	n.Line = 0
	for _, c := range n.Content {
		forget(c)
	}
}
