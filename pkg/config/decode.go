package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// ErrConfig is returned for everything that is wrong with a run file or an
// override; the message names the key.
var ErrConfig = errors.New("configuration")

// maxFile bounds a run file in bytes.
const maxFile = 1 << 20

// DecodeWith decodes YAML over the defaults in into, a pointer to a struct,
// then applies key.path=value overrides. Keys are the yaml tags.
func DecodeWith(text []byte, overrides []string, into any) error {
	if len(text) > maxFile {
		return fmt.Errorf("%w: the file has %d bytes, expected at most %d", ErrConfig, len(text), maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s", ErrConfig, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file holds more than one document", ErrConfig)
	}
	if len(doc.Content) == 1 {
		if err := decode(doc.Content[0], reflect.ValueOf(into).Elem(), ""); err != nil {
			return err
		}
	}
	for _, o := range overrides {
		if err := override(o, reflect.ValueOf(into).Elem()); err != nil {
			return err
		}
	}
	return nil
}

// override applies one key.path=value.
func override(o string, into reflect.Value) error {
	path, value, ok := strings.Cut(o, "=")
	if !ok {
		return fmt.Errorf("%w: override %q, expected KEY.PATH=VALUE", ErrConfig, o)
	}
	at := into
	done := ""
	for _, key := range strings.Split(path, ".") {
		f, err := field(at, key, done)
		if err != nil {
			return err
		}
		at, done = f, join(done, key)
	}
	var n yaml.Node
	if value == "" {
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
		if at.Kind() != reflect.String {
			n.Tag = "!!null"
		}
	} else if at.Kind() == reflect.String {
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	} else {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) != 1 {
			return fmt.Errorf("%w: %s is %q, which cannot be read", ErrConfig, path, value)
		}
		n = *doc.Content[0]
	}
	n.Line = 0
	return decode(&n, at, path)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// field is the struct's field with the yaml key.
func field(v reflect.Value, key, path string) (reflect.Value, error) {
	if v.Kind() != reflect.Struct {
		return v, fmt.Errorf("%w: %s is a value, it has no key %q", ErrConfig, path, key)
	}
	var keys []string
	for i := range v.NumField() {
		k, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if k == key {
			return v.Field(i), nil
		}
		keys = append(keys, k)
	}
	sort.Strings(keys)
	where := "the run file"
	if path != "" {
		where = path
	}
	return v, fmt.Errorf("%w: unknown key %q in %s, expected one of %s", ErrConfig, key, where, strings.Join(keys, ", "))
}

// at names a key with its line in the file.
func at(path string, n *yaml.Node) string {
	if n.Line > 0 {
		return fmt.Sprintf("line %d: %s", n.Line, path)
	}
	return path
}

func decode(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("%w: %s: aliases are not supported", ErrConfig, at(path, n))
	}
	wrong := func(want string) error {
		return fmt.Errorf("%w: %s is %s, expected %s", ErrConfig, at(path, n), describe(n), want)
	}
	if n.Tag == "!!null" {
		if v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
			v.SetZero()
			return nil
		}
		return wrong(kindName(v.Type()))
	}
	switch v.Kind() {
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			return wrong("a section of keys")
		}
		return decodeStruct(n, v, path)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := decode(n, p.Elem(), path); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong(kindName(v.Type()))
		}
		s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, c := range n.Content {
			if err := decode(c, s.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		v.Set(s)
		return nil
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			return wrong(kindName(v.Type()))
		}
		m := reflect.MakeMap(v.Type())
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := reflect.New(v.Type().Key()).Elem()
			e := reflect.New(v.Type().Elem()).Elem()
			k.SetString(n.Content[i].Value)
			if m.MapIndex(k).IsValid() {
				return fmt.Errorf("%w: %s appears twice", ErrConfig, at(join(path, k.String()), n.Content[i]))
			}
			if err := decode(n.Content[i+1], e, join(path, k.String())); err != nil {
				return err
			}
			m.SetMapIndex(k, e)
		}
		v.Set(m)
		return nil
	}
	if n.Kind != yaml.ScalarNode {
		return wrong(kindName(v.Type()))
	}
	return decodeScalar(n, v, wrong)
}

func decodeStruct(n *yaml.Node, v reflect.Value, path string) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if seen[k.Value] {
			return fmt.Errorf("%w: %s appears twice", ErrConfig, at(join(path, k.Value), k))
		}
		seen[k.Value] = true
		f, err := field(v, k.Value, path)
		if err != nil {
			return fmt.Errorf("line %d: %w", k.Line, err)
		}
		if err := decode(n.Content[i+1], f, join(path, k.Value)); err != nil {
			return err
		}
	}
	return nil
}

func decodeScalar(n *yaml.Node, v reflect.Value, wrong func(string) error) error {
	want := kindName(v.Type())
	switch v.Kind() {
	case reflect.String:
		if n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float" {
			return wrong(want)
		}
		v.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if n.Tag != "!!bool" || n.Decode(&b) != nil {
			return wrong(want)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || v.OverflowInt(i) {
			return wrong(want)
		}
		v.SetInt(i)
	case reflect.Uint64:
		u, err := strconv.ParseUint(n.Value, 10, 64)
		if err != nil {
			return wrong(want)
		}
		v.SetUint(u)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return wrong(want)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("%w: %s has no spelling in YAML", ErrConfig, v.Type())
	}
	return nil
}

// describe names what was found.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section of keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	}
	return strconv.Quote(n.Value)
}

// kindName names what a type is written as.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list of " + kindName(t.Elem())
	case reflect.Map:
		return "a section of keys with " + kindName(t.Elem())
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "a section of keys"
}
