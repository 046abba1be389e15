package data

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
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
	if err != nil || len(q) != 2 || q[0].Answer != 1 || q[1].Answer != 0 || q[1].Place != "line 3" {
		t.Errorf("%+v, %v", q, err)
	}
	for text, want := range map[string]Question{
		`{"query":"a","choices":["b"," c"],"gold":1}`:                                                                      {"line 1", "a", []string{" b", " c"}, 1},
		`{"query":"a\n","choices":["b","c"],"gold":0}`:                                                                     {"line 1", "a\n", []string{"b", "c"}, 0},
		`{"ctx":"a","endings":["b","c"],"label":"1"}`:                                                                      {"line 1", "a", []string{" b", " c"}, 1},
		`{"goal":"a","sol1":"b","sol2":"c","label":1}`:                                                                     {"line 1", "a", []string{" b", " c"}, 1},
		`{"question":"a","choices":{"text":["b","c"],"label":["A","B"]},"answerKey":"B"}`:                                  {"line 1", "a", []string{" b", " c"}, 1},
		`{"context":"a","continuation":"b"}`:                                                                               {"line 1", "a", []string{" b"}, 0},
		`{"question":"a","choices":["b","c"],"answer":"B"}`:                                                                {"line 1", "a", []string{" b", " c"}, 1},
		`{"query":"a","choices":["b","c"],"gold":[1]}`:                                                                     {"line 1", "a", []string{" b", " c"}, 1},
		`{"question_stem":"a","choices":{"text":["b","c"],"label":["A","B"]},"answerKey":"A"}`:                             {"line 1", "a", []string{" b", " c"}, 0},
		`{"id":"x","question":{"stem":"a","choices":[{"text":"b","label":"1"},{"text":"c","label":"2"}]},"answerKey":"2"}`: {"line 1", "a", []string{" b", " c"}, 1},
		`{"text":"one two three. "}`:                                                                                       {"line 1", "one two", []string{" three."}, 0},
		"[\n" + `{"context":"a","choices":["b","c"],"answer":1}` + "]":                                                     {"object 1", "a", []string{"b", "c"}, 1},
		"\ufeff" + `{"context":"a","choices":["b","c"],"answer":1}` + "\r\n":                                               {"line 1", "a", []string{"b", "c"}, 1},
	} {
		if got, err := read(text); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: %+v, expected %+v (%v)", text, got, want, err)
		}
	}
	for text, want := range map[string]string{
		"":  "no question",
		"{": "line 1",
		`{"context":"a","continuation":"b"}` + "\n" + `{"context":"a","choices":["b","c"],"answer":1}`: "line 2: a question with 2 choices follows one with 1",
		`{"choices":["a","b"],"answer":0}`:                   "not a known question format, it has the keys answer, choices; expected \"context\"",
		`{"text":"one"}`:                                     "one word",
		`{"context":"a","choices":["b","c"],"answer":"C"}`:   "answer",
		`{"context":"a","choices":["b"],"answer":0}`:         "choices",
		`{"context":"a","choices":["b",""],"answer":0}`:      "choices",
		`{"context":"a","choices":["b","c"]}`:                "answer",
		`{"context":"a","choices":["b","c"],"answer":2}`:     "0 to 1",
		`{"context":"a","choices":["b","c"],"answer":"d"}`:   "answer",
		`{"context":"a","choices":["b","c"],"answer":[1,0]}`: "answer",
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
