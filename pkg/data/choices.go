package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Question is one line of a multiple-choice file.
type Question struct {
	Line    int // in the file, from 1
	Context string
	Choices []string // at least 2
	Answer  int      // index of the right choice
}

// ReadQuestions reads a file of one JSON object a line,
//
//	{"context": "The fox sleeps in", "choices": [" a den.", " a song."], "answer": 0}
//
// where answer is the index of the right choice or its text. Text is joined as it
// is: a choice that follows a word begins with its space. Unknown keys are ignored.
func ReadQuestions(path string) ([]Question, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Question
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for n := 1; s.Scan(); n++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		q, err := parseQuestion(s.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%w: %s line %d: %w", ErrFormat, path, n, err)
		}
		q.Line = n
		out = append(out, q)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s behind line %d: %w", ErrFormat, path, len(out), err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s holds no question", ErrFormat, path)
	}
	return out, nil
}

func parseQuestion(line []byte) (Question, error) {
	var raw struct {
		Context *string         `json:"context"`
		Choices []string        `json:"choices"`
		Answer  json.RawMessage `json:"answer"`
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return Question{}, err
	}
	switch {
	case raw.Context == nil || *raw.Context == "":
		return Question{}, fmt.Errorf(`"context" is missing or empty`)
	case len(raw.Choices) < 2:
		return Question{}, fmt.Errorf(`"choices" has %d texts, expected at least 2`, len(raw.Choices))
	case raw.Answer == nil:
		return Question{}, fmt.Errorf(`"answer" is missing`)
	}
	q := Question{Context: *raw.Context, Choices: raw.Choices, Answer: -1}
	for i, c := range q.Choices {
		if c == "" {
			return q, fmt.Errorf(`"choices" %d is empty`, i)
		}
	}
	var text string
	if json.Unmarshal(raw.Answer, &text) == nil {
		for i, c := range q.Choices {
			if c == text {
				q.Answer = i
			}
		}
	} else if json.Unmarshal(raw.Answer, &q.Answer) != nil {
		q.Answer = -1
	}
	if q.Answer < 0 || q.Answer >= len(q.Choices) {
		return q, fmt.Errorf(`"answer" is %s, expected an index from 0 to %d or the text of a choice`, raw.Answer, len(q.Choices)-1)
	}
	return q, nil
}
