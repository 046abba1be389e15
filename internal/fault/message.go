package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Message is the text of an error on one line. What package json found is said by the key,
// what stands there and what was expected instead of in the words of Go.
func Message(err error) string {
	text := err.Error()
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		text = strings.ReplaceAll(text, kind.Error(), WrongKind(kind))
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		text = strings.ReplaceAll(text, syntax.Error(), wrongSyntax(syntax))
	}
	text = strings.ReplaceAll(text, "json: unknown field", "unknown key")
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", "; ")), " ")
}

// WrongKind says what stands in JSON where a value of another type is expected.
func WrongKind(e *json.UnmarshalTypeError) string {
	found := e.Value
	switch {
	case found == "array":
		found = "a list"
	case found == "object":
		found = "an object"
	case found == "bool":
		found = "true or false"
	case found == "string" || found == "number":
		found = "a " + found
	}
	found += ", expected " + kindOf(e.Type)
	if e.Field == "" {
		return "is " + found
	}
	return e.Field + " is " + found
}

// kindOf is what JSON calls values of a type.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Interface:
		return "another value"
	}
	return "a whole number"
}

func wrongSyntax(e *json.SyntaxError) string {
	text := e.Error()
	switch {
	case e.Offset <= 1 && strings.HasPrefix(text, "invalid character '<'"):
		return "a web page, expected JSON (a download that failed?)"
	case text == "unexpected end of JSON input":
		return fmt.Sprintf("the JSON ends too early, after %d bytes", e.Offset)
	}
	return fmt.Sprintf("%s, at byte %d of the JSON", text, e.Offset)
}
