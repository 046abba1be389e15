package tokenizer

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// parser reads the parts of a tokenizer.json. A key that it does not know changes
// nothing and is noted as a warning.
type parser struct {
	warnings []string
}

// maxWarnings bounds the notes of one file.
const maxWarnings = 20

func (p *parser) warn(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); len(p.warnings) < maxWarnings && !slices.Contains(p.warnings, s) {
		p.warnings = append(p.warnings, s)
	}
}

// read decodes an object into v, a pointer to a struct, and notes the keys that v has no field for.
func (p *parser) read(raw json.RawMessage, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return err
	}
	where := "tokenizer.json"
	if kind := strings.Trim(string(keys["type"]), `"`); kind != "" {
		where += ", " + kind
	}
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			name = t.Field(i).Name
		}
		for key := range keys {
			if strings.EqualFold(key, name) {
				delete(keys, key)
			}
		}
	}
	unknown := make([]string, 0, len(keys))
	for key := range keys {
		unknown = append(unknown, key)
	}
	sort.Strings(unknown)
	for _, key := range unknown {
		p.warn("%.60s: key %.40q is not known and is ignored", where, key)
	}
	return nil
}

// plain reads an object that has nothing but its type.
func (p *parser) plain(raw json.RawMessage) error {
	var v struct{ Type string }
	return p.read(raw, &v)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// maxComponent bounds a normalizer, pre-tokenizer, decoder or post-processor in
// bytes: a Precompiled normalizer holds a table of some 300 KB.
const maxComponent = 4 << 20

// component makes a part of the pipeline by its type.
func component[T any](p *parser, field string, raw json.RawMessage, table map[string]func(*parser, json.RawMessage) (T, error)) (T, error) {
	var none T
	if len(raw) > maxComponent {
		return none, fmt.Errorf("%s of %d bytes, expected at most %d", field, len(raw), maxComponent)
	}
	var head struct{ Type string }
	if err := json.Unmarshal(raw, &head); err != nil {
		return none, fmt.Errorf("%s: %w", field, err)
	}
	build, ok := table[head.Type]
	if !ok {
		var names []string
		for name := range table {
			names = append(names, name)
		}
		sort.Strings(names)
		return none, fmt.Errorf("%s.type is %q, expected one of %s", field, head.Type, strings.Join(names, ", "))
	}
	c, err := build(p, raw)
	if err != nil {
		return none, fmt.Errorf("%s %s: %w", field, head.Type, err)
	}
	return c, nil
}
