package fault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestMessage: errors of package json are said in words of the file.
func TestMessage(t *testing.T) {
	type inner struct {
		Temperature *float64       `json:"temperature"`
		IDs         []int          `json:"ids"`
		Layers      int            `json:"layers"`
		Names       map[string]int `json:"names"`
		Tied        bool           `json:"tied"`
		Kind        string         `json:"kind"`
	}
	for text, want := range map[string]string{
		`[]`:                      "x.json: is a list, expected an object",
		`{"temperature":"hot"}`:   "x.json: temperature is a string, expected a number",
		`{"ids":{"a":1}}`:         "x.json: ids is an object, expected a list",
		`{"layers":true}`:         "x.json: layers is true or false, expected a whole number",
		`{"layers":1.5}`:          "x.json: layers is number 1.5, expected a whole number",
		`{"names":7}`:             "x.json: names is a number, expected an object",
		`{"tied":"yes"}`:          "x.json: tied is a string, expected true or false",
		`{"kind":["a"]}`:          "x.json: kind is a list, expected a string",
		`<!DOCTYPE html>`:         "x.json: a web page, expected JSON (a download that failed?)",
		`{"layers":`:              "x.json: the JSON ends too early, after 10 bytes",
		"{\"layers\":1,\n}":       "x.json: invalid character '}' looking for beginning of object key string, at byte 14 of the JSON",
		`{"layers":1,"zoo":true}`: `x.json: unknown key "zoo"`,
	} {
		var into inner
		err := json.Unmarshal([]byte(text), &into)
		if err == nil {
			d := json.NewDecoder(strings.NewReader(text))
			d.DisallowUnknownFields()
			err = d.Decode(&into)
		}
		if got := Message(BadInput(fmt.Errorf("x.json: %w", err))); got != want {
			t.Errorf("%s: %q, expected %q", text, got, want)
		}
	}
	if got := Message(fmt.Errorf("a\n  b")); got != "a; b" {
		t.Errorf("%q has two lines", got)
	}
}
