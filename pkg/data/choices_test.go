package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadQuestions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	read := func(text string) ([]Question, error) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadQuestions(path)
	}
	q, err := read(`{"context":"a","choices":["b","c"],"answer":1}` + "\n\n" + `{"context":"a","choices":["b","c"],"answer":"b","id":7}`)
	if err != nil || len(q) != 2 || q[0].Answer != 1 || q[1].Answer != 0 || q[1].Line != 3 {
		t.Errorf("%+v, %v", q, err)
	}
	for text, want := range map[string]string{
		"":                                 "no question",
		"{":                                "line 1",
		`{"choices":["a","b"],"answer":0}`: "context",
		`{"context":"a","choices":["b"],"answer":0}`:       "choices",
		`{"context":"a","choices":["b",""],"answer":0}`:    "choices",
		`{"context":"a","choices":["b","c"]}`:              "answer",
		`{"context":"a","choices":["b","c"],"answer":2}`:   "0 to 1",
		`{"context":"a","choices":["b","c"],"answer":"d"}`: "answer",
		`{"context":"a","choices":["b","c"],"answer":[1]}`: "answer",
	} {
		if _, err := read(text); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected a message with %q", text, err, want)
		}
	}
	if _, err := ReadQuestions(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzReadQuestions(f *testing.F) {
	f.Add([]byte(`{"context":"a","choices":["b","c"],"answer":1}`))
	f.Add([]byte(`{"context":"a","choices":["b","c"],"answer":"c"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if q, err := parseQuestion(line); err == nil && (q.Answer < 0 || q.Answer >= len(q.Choices) || q.Context == "") {
			t.Errorf("%q was read as %+v", line, q)
		}
	})
}
