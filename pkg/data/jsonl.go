package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

func init() {
	Register(Reader{Extensions: []string{".jsonl", ".ndjson"}, Pack: PackDocuments, Read: readJSONLines})
}

// readJSONLines reads one JSON object a line; empty lines are left out. One array, which no
// line of such a file is, is read as in a .json file.
func readJSONLines(f *os.File, fields []string, add func(Record) error) error {
	if beginsArray(f) {
		return readJSON(f, fields, add)
	}
	return lines(f, func(text []byte, number int, offset int64) error {
		if text = bytes.TrimSpace(text); len(text) == 0 {
			return nil
		}
		if err := checkUTF8(text, offset, number); err != nil {
			return err
		}
		r, err := jsonRecord(text, fields)
		r.Place = fmt.Sprintf("line %d", number)
		if err != nil {
			return fmt.Errorf("%s %w", r.Place, err)
		}
		return add(r)
	})
}

// jsonRecord takes fields, strings or null, from an object, or all of it.
func jsonRecord(object []byte, fields []string) (Record, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return Record{}, fmt.Errorf("is not a JSON object: %w", err)
	}
	if fields == nil {
		return Record{Values: [][]byte{bytes.Clone(object)}}, nil
	}
	r := Record{Values: make([][]byte, len(fields))}
	for i, field := range fields {
		raw, ok := all[field]
		if !ok {
			return r, missing(field, slices.Collect(maps.Keys(all)))
		}
		var text *string
		if err := json.Unmarshal(raw, &text); err != nil {
			return r, fmt.Errorf("has a field %q that is not a string", field)
		}
		if text != nil {
			r.Values[i] = []byte(*text)
		}
	}
	return r, nil
}
