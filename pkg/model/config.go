package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/ecospa/ecospa/internal/fault"
)

// rawObject is keys of a config.json with their values as they stand there.
type rawObject map[string]json.RawMessage

// readConfig decodes a config.json over the defaults in into. A key that is known to
// change what a model computes (decisive) and is no field of into is refused by
// name unless its value changes nothing. Keys that nobody knows are listed; extra is
// all keys that into lacks, to be written back.
func readConfig(text []byte, into any) (unknown []string, extra rawObject, err error) {
	var all rawObject
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil, fmt.Errorf("config.json: %w", err)
	}
	known := map[string]bool{"ecospa": true, "torch_dtype": true, "dtype": true} // written anew
	fields(reflect.TypeOf(into).Elem(), known)
	extra = rawObject{}
	for _, key := range sorted(slices.Collect(maps.Keys(all))) {
		if known[key] {
			continue
		}
		value := bytes.TrimSpace(all[key])
		extra[key] = value
		switch neutral, ok := decisive[key]; {
		case empty(value):
		case ok && !neutral(value) && !(key == "sliding_window" && idleWindow(all)):
			return nil, nil, fmt.Errorf("config.json: %s is %s, which this family does not support", short(key), short(string(value)))
		case !ok && !harmless[key]:
			unknown = append(unknown, key)
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			te.Field = te.Field[strings.LastIndexByte(te.Field, '.')+1:]
			return nil, nil, fmt.Errorf("config.json: %s", fault.WrongKind(te))
		}
		return nil, nil, fmt.Errorf("config.json: %w", err)
	}
	return unknown, extra, nil
}

// idleWindow reports whether a sliding window changes nothing: it is switched off, or as
// long as the longest text.
func idleWindow(all rawObject) bool {
	var window, longest float64
	switch {
	case string(bytes.TrimSpace(all["use_sliding_window"])) == "false":
		return true
	case json.Unmarshal(all["sliding_window"], &window) != nil || json.Unmarshal(all["max_position_embeddings"], &longest) != nil:
		return false
	}
	return longest > 0 && window >= longest
}

// fields adds the keys of a struct and of the structs that it embeds.
func fields(t reflect.Type, known map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if f.Type.Kind() == reflect.Pointer {
				fields(f.Type.Elem(), known)
			} else {
				fields(f.Type, known)
			}
			continue
		}
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" {
			known[key] = true
		}
	}
}

// empty reports whether a value is null, false, zero or empty: it asks for nothing.
func empty(value []byte) bool {
	switch string(value) {
	case "null", "false", "0", "0.0", `""`, "[]", "{}":
		return true
	}
	return false
}

// writeConfig is config.json: the family's keys, those that it did not read, in
// order, and the "ecospa" object.
func writeConfig(k any, extra rawObject, own *Kept) ([]byte, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(text, []byte("}")))
	add := func(key string, value any) {
		if err == nil {
			var v []byte
			v, err = json.Marshal(value)
			fmt.Fprintf(&b, ",%s:%s", quote(key), v)
		}
	}
	for _, key := range sorted(slices.Collect(maps.Keys(extra))) {
		add(key, extra[key])
	}
	if own != nil {
		add("ecospa", own)
	}
	b.WriteString("}")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, b.Bytes(), "", "  ")
	return out.Bytes(), err
}

func quote(key string) []byte {
	text, err := json.Marshal(key)
	if err != nil {
		panic("model: a string has no JSON: " + err.Error())
	}
	return text
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// short is text from a file for a message: printable, on one line, not endless.
func short(s string) string {
	cut := len(s) > 40
	if cut {
		s = s[:40]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if cut {
		s += "..."
	}
	return s
}

// eosIDs is eos_token_id: one id, or a list.
type eosIDs []int

func (e *eosIDs) UnmarshalJSON(text []byte) error {
	var one int
	if json.Unmarshal(text, &one) == nil {
		*e = eosIDs{one}
		return nil
	}
	return json.Unmarshal(text, (*[]int)(e))
}

func (e eosIDs) MarshalJSON() ([]byte, error) {
	if len(e) == 1 {
		return json.Marshal(e[0])
	}
	return json.Marshal([]int(e))
}
