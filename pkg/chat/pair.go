package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pair is two answers to one prompt, of which the first is preferred. Given of both is the
// number of messages that they share.
type Pair struct{ Chosen, Rejected Conversation }

// answers are the keys under which records hold the chosen and the rejected answer.
var answers = [][2]string{{"chosen", "rejected"}, {"preferred_output", "non_preferred_output"}, {"chosen_response", "rejected_response"}}

// prompts are the keys of a prompt, in the order in which they are looked for; without any
// both answers begin with it.
var prompts = []string{"prompt", "question", "query", "instruction", "messages", "conversations", "input"}

// IsPair reports whether a record, a JSON object, holds a chosen and a rejected answer.
func IsPair(record []byte) bool {
	var keys map[string]json.RawMessage
	return json.Unmarshal(record, &keys) == nil && answerKeys(keys) != nil
}

func answerKeys(keys map[string]json.RawMessage) *[2]string {
	for i, a := range answers {
		if keys[a[0]] != nil && keys[a[1]] != nil {
			return &answers[i]
		}
	}
	return nil
}

// ParsePair reads a record with a chosen and a rejected answer: texts, a message, or lists of
// messages (OpenAI's or ShareGPT's), which may begin with the prompt. The prompt is a text,
// a list of messages, Alpaca's instruction and input, or OpenAI's {"input": {"messages"}};
// without one texts are read as Anthropic's, "\n\nHuman: ...\n\nAssistant: ...". A record that is
// none is an ErrRecord.
func ParsePair(record []byte) (Pair, error) {
	p, err := parsePair(record)
	if err != nil {
		return Pair{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return p, nil
}

// Same reports whether the pair has nothing to prefer: its answers are the same, or one of
// them has no turn of the assistant.
func (p Pair) Same() bool {
	for _, c := range []Conversation{p.Chosen, p.Rejected} {
		if !slices.ContainsFunc(c.Messages[c.Given:], func(m Message) bool { return m.Role == "assistant" }) {
			return true
		}
	}
	return false
}

func parsePair(record []byte) (p Pair, err error) {
	if len(record) > maxBytes {
		return p, fmt.Errorf("%d bytes, expected at most %d", len(record), maxBytes)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(record, &keys); err != nil {
		return p, fmt.Errorf("no JSON object: %w", err)
	}
	for k, v := range keys {
		if string(v) == "null" {
			delete(keys, k)
		}
	}
	names := answerKeys(keys)
	if names == nil {
		return p, errors.New("no chosen and rejected answer, expected the keys chosen and rejected, or preferred_output and non_preferred_output")
	}
	prompt, tools, err := promptOf(keys)
	if err != nil {
		return p, err
	}
	for i, c := range []*Conversation{&p.Chosen, &p.Rejected} {
		if c.Messages, err = answered(prompt, keys[names[i]]); err != nil {
			return p, fmt.Errorf("%s: %w", names[i], err)
		}
		if len(c.Messages) > maxMessages {
			return p, fmt.Errorf("%s: %d messages, expected 1 to %d", names[i], len(c.Messages), maxMessages)
		}
		c.Tools = tools
	}
	shared := 0
	for a, b := p.Chosen.Messages, p.Rejected.Messages; shared < min(len(a), len(b)) && sameMessage(a[shared], b[shared]); {
		shared++
	}
	p.Chosen.Given, p.Rejected.Given = shared, shared
	return p, nil
}

func sameMessage(a, b Message) bool {
	return a.Role == b.Role && a.Content == b.Content && bytes.Equal(a.JSON, b.JSON)
}

// promptOf is the messages of a record's prompt, nil where it has none by itself, and its
// tools.
func promptOf(keys map[string]json.RawMessage) (prompt []Message, list json.RawMessage, err error) {
	var inner map[string]json.RawMessage
	if raw := keys["input"]; len(raw) > 0 && raw[0] == '{' { // OpenAI's
		if err := json.Unmarshal(raw, &inner); err != nil {
			return nil, nil, fmt.Errorf("input: %w", err)
		}
		keys = inner
	}
	if list, err = tools(keys["tools"]); err != nil {
		return nil, nil, err
	}
	if prompt, err = system(keys); err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(prompts, func(k string) bool { return keys[k] != nil })
	if at < 0 {
		return prompt, list, nil
	}
	name := prompts[at]
	if raw := keys[name]; raw[0] == '[' {
		more, err := messages(raw)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return append(prompt, more...), list, err
	}
	s, err := text(keys, name)
	if err != nil {
		return nil, nil, err
	}
	if more, err := text(keys, "input"); name == "instruction" && err == nil && more != "" {
		s += "\n\n" + more
	}
	return append(prompt, Message{Role: "user", Content: s}), list, nil
}

// answered is a prompt and an answer to it, which may hold the prompt itself.
func answered(prompt []Message, raw json.RawMessage) ([]Message, error) {
	var said string
	if json.Unmarshal(raw, &said) == nil {
		if len(prompt) == 0 || prompt[len(prompt)-1].Role == "system" {
			more, err := dialogue(said)
			return append(slices.Clip(prompt), more...), err
		}
		return append(slices.Clip(prompt), Message{Role: "assistant", Content: said}), nil
	}
	if len(raw) > 0 && raw[0] == '{' {
		raw = append(append(json.RawMessage{'['}, raw...), ']')
	}
	more, err := messages(raw)
	switch {
	case err != nil:
		return nil, err
	case len(more) == 0:
		return nil, errors.New("no messages")
	case more[0].Role == "system":
		return more, nil
	case more[0].Role == "user": // all of it
		for len(prompt) > 0 && prompt[len(prompt)-1].Role != "system" {
			prompt = prompt[:len(prompt)-1]
		}
	case len(prompt) == 0:
		return nil, fmt.Errorf("the first message is of the %s, and there is no prompt", more[0].Role)
	}
	return append(slices.Clip(prompt), more...), nil
}

// messages reads a list of OpenAI's or of ShareGPT's messages.
func messages(raw json.RawMessage) ([]Message, error) {
	return readShareGPT(map[string]json.RawMessage{"conversations": raw})
}

// turns are the marks of Anthropic's dialogues.
var turns = []struct{ mark, role string }{{"\n\nHuman:", "user"}, {"\n\nAssistant:", "assistant"}}

// dialogue reads a text as Anthropic's dialogues are written.
func dialogue(s string) (all []Message, err error) {
	if !strings.HasPrefix(s, turns[0].mark) {
		return nil, errors.New("a text without a prompt: expected one of the keys prompt, question, instruction, messages, or a text that begins with \"\\n\\nHuman:\"")
	}
	for s != "" {
		role := turns[0]
		if !strings.HasPrefix(s, role.mark) {
			role = turns[1]
		}
		s = s[len(role.mark):]
		end := len(s)
		for _, t := range turns {
			if at := strings.Index(s, t.mark); at >= 0 {
				end = min(end, at)
			}
		}
		all = append(all, Message{Role: role.role, Content: strings.TrimPrefix(s[:end], " ")})
		s = s[end:]
	}
	return all, nil
}
