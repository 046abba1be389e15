package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Question is one record of a file of questions.
type Question struct {
	Place   string // in the file: "line 3"
	Context string
	Choices []string // at least 2; 1 where Context has one right continuation (LAMBADA)
	Answer  int      // index of the right choice
}

// spelling is the names under which a benchmark's fields are passed around.
type spelling struct {
	context, choices, answer string
	joined                   bool // texts are joined as they are; else with a space where none is
}

// spellings are tried in this order. With "text" and "label" below choices (ARC) the
// answer is a label.
var spellings = []spelling{
	{"context", "choices", "answer", true},
	{"query", "choices", "gold", false}, {"question", "choices", "answer", false}, {"question", "choices", "answerKey", false}, {"question_stem", "choices", "answerKey", false},
	{"ctx", "endings", "label", false}, {"goal", "sol1", "label", false}, {"context", "continuation", "", false},
}

// ReadQuestions reads a file of questions: one JSON object a line, or an array of such
// (.json). This project's own form is
//
//	{"context": "The fox sleeps in", "choices": [" a den.", " a song."], "answer": 0}
//
// where answer is the index of the right choice or its text, and texts are joined as they
// are: a choice that follows a word begins with its space. The forms that benchmarks are
// passed around in are read as well, and joined with a space where neither side has one:
// {query, choices, gold}, {question or question_stem, choices, answer or answerKey} (ARC,
// also as its authors' files nest it, OpenBookQA, MMLU), {ctx, endings, label} (HellaSwag),
// {goal, sol1, sol2, label} (PIQA), and {context, continuation} or {text}, whose last word
// is asked for (LAMBADA), which have one right continuation. An answer may be an index, a
// label, a letter or the text. Other keys are ignored.
func ReadQuestions(path string) ([]Question, error) {
	f, err := source{path: path}.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Question
	add := func(object []byte, place string) error {
		q, err := parseQuestion(object)
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		q.Place = place
		if len(out) > 0 && (len(out[0].Choices) == 1) != (len(q.Choices) == 1) {
			return fmt.Errorf("%s: a question with %d choices follows one with %d", place, len(q.Choices), len(out[0].Choices))
		}
		out = append(out, q)
		return nil
	}
	if extension(path) == ".json" || beginsArray(f) {
		err = objects(f, func(object []byte, n int, _ int64) error { return add(object, fmt.Sprintf("object %d", n)) })
	} else {
		err = lines(f, func(text []byte, n int, _ int64) error {
			if text = bytes.TrimSpace(text); len(text) == 0 {
				return nil
			}
			return add(text, fmt.Sprintf("line %d", n))
		})
	}
	if err == nil && len(out) == 0 {
		err = errors.New("it holds no question")
	}
	var system *fs.PathError
	if err != nil && !errors.As(err, &system) {
		err = fmt.Errorf("%w: %s %w", ErrFormat, path, err)
	}
	return out, err
}

func parseQuestion(object []byte) (q Question, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return q, err
	}
	unnest(all)
	if done, err := q.lastWord(all); done {
		return q, err
	}
	s, ok := spellings[0], false
	for _, try := range spellings {
		if ok = all[try.context] != nil && all[try.choices] != nil && (try.answer == "" || all[try.answer] != nil); ok {
			s = try
			break
		}
	}
	if !ok && all[s.context] == nil {
		return q, fmt.Errorf("it is not a known question format, it has the keys %s; expected %q, %q and %q, or the keys of ARC, HellaSwag, PIQA, MMLU, OpenBookQA or LAMBADA", strings.Join(slices.Sorted(maps.Keys(all)), ", "), s.context, s.choices, s.answer)
	}
	if err := json.Unmarshal(all[s.context], &q.Context); err != nil || q.Context == "" {
		return q, fmt.Errorf("%q is missing, empty or not a string", s.context)
	}
	labels, err := q.readChoices(all, s)
	if err != nil {
		return q, err
	}
	if !s.joined {
		q.space()
	}
	if s.answer == "" {
		return q, nil
	}
	if all[s.answer] == nil {
		return q, fmt.Errorf("%q is missing", s.answer)
	}
	if q.Answer = q.find(all[s.answer], labels, s); q.Answer < 0 {
		return q, fmt.Errorf("%q is %s, expected an index from 0 to %d, a label or the text of a choice", s.answer, all[s.answer], len(q.Choices)-1)
	}
	return q, nil
}

// unnest puts {"question": {"stem", "choices": [{"text", "label"}]}}, as ARC's own files
// have it, into the form that it is passed around in.
func unnest(all map[string]json.RawMessage) {
	var nested struct {
		Stem    json.RawMessage
		Choices []struct{ Text, Label string }
	}
	if json.Unmarshal(all["question"], &nested) != nil || nested.Stem == nil || nested.Choices == nil {
		return
	}
	var flat struct {
		Text  []string `json:"text"`
		Label []string `json:"label"`
	}
	for _, c := range nested.Choices {
		flat.Text, flat.Label = append(flat.Text, c.Text), append(flat.Label, c.Label)
	}
	if choices, err := json.Marshal(flat); err == nil {
		all["question"], all["choices"] = nested.Stem, choices
	}
}

// lastWord reads {"text"} alone, as LAMBADA's own file has it: its last word is asked for.
func (q *Question) lastWord(all map[string]json.RawMessage) (done bool, err error) {
	if len(all) != 1 || all["text"] == nil {
		return false, nil
	}
	var text string
	if err := json.Unmarshal(all["text"], &text); err != nil {
		return true, fmt.Errorf("\"text\" is not a string")
	}
	text = strings.TrimSpace(text)
	at := strings.LastIndexFunc(text, unicode.IsSpace)
	if at < 0 {
		return true, fmt.Errorf("\"text\" has one word, expected more: the last is asked for")
	}
	q.Context, q.Choices = strings.TrimRightFunc(text[:at], unicode.IsSpace), []string{text[at:]}
	return true, nil
}

// readChoices reads the choices, and their labels where they have some.
func (q *Question) readChoices(all map[string]json.RawMessage, s spelling) (labels []string, err error) {
	var labelled struct{ Text, Label []string }
	switch {
	case s.choices == "sol1", s.choices == "continuation":
		for _, key := range []string{s.choices, "sol2"} {
			var text string
			if err := json.Unmarshal(all[key], &text); err == nil {
				q.Choices = append(q.Choices, text)
			} else if key == s.choices || s.choices == "sol1" {
				return nil, fmt.Errorf("%q is missing or not a string", key)
			}
		}
	case json.Unmarshal(all[s.choices], &labelled) == nil && labelled.Text != nil:
		q.Choices, labels = labelled.Text, labelled.Label
	default:
		if err := json.Unmarshal(all[s.choices], &q.Choices); err != nil {
			return nil, fmt.Errorf("%q is missing or not a list of texts", s.choices)
		}
	}
	if s.answer != "" && len(q.Choices) < 2 {
		return nil, fmt.Errorf("%q has %d texts, expected at least 2", s.choices, len(q.Choices))
	}
	if i := slices.Index(q.Choices, ""); i >= 0 {
		return nil, fmt.Errorf("%q %d is empty", s.choices, i)
	}
	return labels, nil
}

// find is the index of the right choice, -1 where there is none.
func (q *Question) find(raw json.RawMessage, labels []string, s spelling) int {
	n, text := -1, ""
	var one []json.RawMessage
	if json.Unmarshal(raw, &one) == nil && len(one) == 1 { // a list of the right ones
		raw = one[0]
	}
	if json.Unmarshal(raw, &n) != nil {
		if json.Unmarshal(raw, &text) != nil {
			return -1
		}
		if i := slices.Index(labels, text); i >= 0 {
			return i
		}
		for i, c := range q.Choices {
			if c == text || !s.joined && strings.TrimSpace(c) == strings.TrimSpace(text) {
				return i
			}
		}
		if len(text) == 1 && text[0] >= 'A' && labels == nil {
			n = int(text[0] - 'A')
		} else if i, err := strconv.Atoi(text); err == nil { // HellaSwag's labels are strings
			n = i
		}
	}
	if n < 0 || n >= len(q.Choices) {
		return -1
	}
	return n
}

// space puts a space between the context and its choices where neither has one.
func (q *Question) space() {
	if last, _ := utf8.DecodeLastRuneInString(q.Context); unicode.IsSpace(last) {
		return
	}
	for i, c := range q.Choices {
		if first, _ := utf8.DecodeRuneInString(c); !unicode.IsSpace(first) {
			q.Choices[i] = " " + c
		}
	}
}
