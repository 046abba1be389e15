package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// ErrConfig is returned for everything that is wrong with a run file or an
// override; the message names the key's path, its line, what was found and what
// was expected.
var ErrConfig = errors.New("configuration")

// maxFile bounds a run file in bytes.
const maxFile = 256 << 10

// fault is one thing that is wrong, an ErrConfig.
type fault struct {
	line int // of the file; 0 when it is not in a file
	text string
}

func (f fault) Error() string {
	if f.line > 0 {
		return fmt.Sprintf("line %d: %s", f.line, f.text)
	}
	return f.text
}

func (f fault) Unwrap() error { return ErrConfig }

func faulty(n *yaml.Node, format string, a ...any) error {
	return fault{n.Line, fmt.Sprintf(format, a...)}
}

// DecodeWith decodes YAML over the defaults in into, a pointer to a struct,
// then applies key.path=value overrides, the later over the earlier. Keys are
// the yaml tags. Every key must be a field's, must appear once, and must have a
// value of the field's type; aliases and further documents are refused.
func DecodeWith(text []byte, overrides []string, into any) error {
	v := reflect.ValueOf(into).Elem()
	d := decoder{v.Type()}
	n, err := parse(text)
	if err != nil {
		return err
	}
	if n != nil {
		if err := d.decode(n, v, ""); err != nil {
			return err
		}
	}
	for _, o := range overrides {
		if err := d.override(o, v); err != nil {
			return fmt.Errorf("override %s: %w", quote(o), err)
		}
	}
	return nil
}

// parse is the one document of the text; nil when it is empty.
func parse(text []byte) (*yaml.Node, error) {
	if len(text) > maxFile {
		return nil, fault{0, fmt.Sprintf("%d bytes, expected at most %d", len(text), maxFile)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fault{0, yamlMessage(err)}
	}
	if err := dec.Decode(&second); err == nil {
		return nil, faulty(&second, "a second document begins here, expected one")
	} else if !errors.Is(err, io.EOF) {
		return nil, fault{0, yamlMessage(err)}
	}
	n := doc.Content[0]
	if n.Tag == "!!null" { // nothing but comments, or the end of a document
		return nil, nil
	}
	return n, nil
}

// yamlMessage is what the YAML parser says, without its own name, on one line.
func yamlMessage(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
}

// decoder decodes into values of a type; root is the outermost one, for
// suggestions.
type decoder struct{ root reflect.Type }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// decode decodes the node over what v holds. path is v's.
func (d decoder) decode(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind == yaml.AliasNode {
		return faulty(n, "%s is an alias, expected %s written out", name(path), kindName(v.Type()))
	}
	if n.Tag == "!!null" {
		switch v.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			v.SetZero()
			return nil
		}
		return wrong(n, v.Type(), path)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.section(n, v, path)
	case reflect.Map:
		return d.entries(n, v, path)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong(n, v.Type(), path)
		}
		if len(n.Content) == 0 { // one form of nothing: what is written anew reads the same
			v.SetZero()
			return nil
		}
		s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, c := range n.Content {
			if err := d.decode(c, s.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		v.Set(s)
		return nil
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := d.decode(n, p.Elem(), path); err != nil {
			return err
		}
		v.Set(p)
		return nil
	}
	return scalar(n, v, path)
}

// section decodes a struct.
func (d decoder) section(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return wrong(n, v.Type(), path)
	}
	return eachKey(n, path, func(key string, k, value *yaml.Node) error {
		f, ok := field(v, key)
		if !ok {
			return faulty(k, "%s", d.unknown(v.Type(), path, key))
		}
		return d.decode(value, f, join(path, key))
	})
}

// entries decodes a map, which replaces the default.
func (d decoder) entries(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return wrong(n, v.Type(), path)
	}
	m := reflect.MakeMap(v.Type())
	err := eachKey(n, path, func(key string, _, value *yaml.Node) error {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(value, e, join(path, key)); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
		return nil
	})
	if err == nil {
		v.Set(m)
	}
	return err
}

// eachKey calls f with every key of a mapping; a key appears once.
func eachKey(n *yaml.Node, path string, f func(key string, k, value *yaml.Node) error) error {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" {
			return faulty(k, "%s has a key that is %s, expected a name", name(path), found(k))
		}
		if first, twice := lines[k.Value]; twice {
			return faulty(k, "%s appears twice, first on line %d", join(path, printable(k.Value)), first)
		}
		lines[k.Value] = k.Line
		if err := f(k.Value, k, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// noKey is the tag of fields that no file says.
const noKey = "-"

// field is the struct's field with the yaml key.
func field(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if keyOf(v.Type().Field(i)) == key && key != noKey {
			return v.Field(i), true
		}
	}
	return v, false
}

// keyOf is the field's key in YAML.
func keyOf(f reflect.StructField) string {
	k, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return k
}
