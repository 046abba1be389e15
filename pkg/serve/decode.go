package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// harmless are fields of the protocol that change no answer.
var harmless = []string{"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "stream_options", "model"}

// neutral are fields that are served only with the value that changes nothing.
var neutral = map[string][]string{
	"frequency_penalty": {"0"}, "presence_penalty": {"0"}, "repetition_penalty": {"1"}, "logit_bias": {"{}"}, "best_of": {"1"}, "suffix": {`""`},
	"response_format": {`{"type":"text"}`}, "tools": {"[]"}, "tool_choice": {`"none"`, `"auto"`}, "parallel_tool_calls": {"true", "false"},
	"functions": {"[]"}, "function_call": {`"none"`}, "modalities": {`["text"]`}, "min_p": {"0"}, "reasoning_effort": {`"none"`}, "encoding_format": {`"float"`},
}

// readJSON decodes a request's body into the struct that into points to. Fields that
// it does not have are errors unless they cannot change the answer.
func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return bad("", "the body is not a JSON object: "+err.Error())
	}
	known := fieldNames(reflect.TypeOf(into).Elem())
	for name, value := range fields {
		if slices.Contains(known, name) || slices.Contains(harmless, name) || string(value) == "null" {
			continue
		}
		values, ok := neutral[name]
		if !ok {
			return bad(name, fmt.Sprintf("%s is not a known field", name))
		}
		var flat bytes.Buffer
		if json.Compact(&flat, value) != nil || !slices.ContainsFunc(values, func(v string) bool { return same(flat.String(), v) }) {
			return bad(name, fmt.Sprintf("%s is not supported, expected it to be left out or %s", name, strings.Join(values, " or ")))
		}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return typeError(err)
	}
	return nil
}

// same compares two JSON values, numbers by value.
func same(a, b string) bool {
	var x, y any
	return a == b || json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// typeError names the field of a value of the wrong type.
func typeError(err error) error {
	var t *json.UnmarshalTypeError
	var api *apiError
	switch {
	case errors.As(err, &api):
		return api
	case errors.As(err, &t):
		return bad(t.Field, fmt.Sprintf("%s is a %s, expected %s", t.Field, t.Value, plainType(t.Type)))
	}
	return bad("", err.Error())
}

// plainType is a Go type in JSON's words.
func plainType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return plainType(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		return "a whole number"
	}
	return "an object"
}

// fieldNames are the JSON names of a struct's fields, those of embedded structs included.
func fieldNames(t reflect.Type) (names []string) {
	for f := range t.NumField() {
		field := t.Field(f)
		if field.Anonymous {
			names = append(names, fieldNames(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
