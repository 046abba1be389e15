package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// ErrRecord is returned when a record is no conversation; the message says what it lacks.
var ErrRecord = errors.New("chat: not a conversation")

// format is a way in which records hold a conversation.
type format struct {
	keys []string // by which it is recognised: all of them
	read func(keys map[string]json.RawMessage) ([]Message, error)
}

// formats by name.
var formats = map[string]format{
	"openai":   {[]string{"messages"}, readMessages("messages")},
	"sharegpt": {[]string{"conversations"}, readShareGPT},
	"alpaca":   {[]string{"instruction", "output"}, readAlpaca},
	"prompt":   {[]string{"prompt", "response"}, readPair("prompt", "response")},
}

// order is that in which formats are looked for, and pairs are further names of a
// prompt and its response.
var (
	order = []string{"openai", "sharegpt", "alpaca", "prompt"}
	pairs = [][2]string{{"prompt", "response"}, {"prompt", "completion"}, {"question", "answer"}, {"query", "response"}, {"input", "output"}}
)

// Formats are the names that Parse knows.
func Formats() []string { return append([]string(nil), order...) }

// Parse reads a record, a JSON object, as a conversation: OpenAI's {"messages": [{role,
// content}]}, ShareGPT's {"conversations": [{from, value}]}, Alpaca's {"instruction",
// "input", "output"}, or a prompt and its response, each of them a text or, with a
// system text, {"system"}. An empty format finds it by the keys. "tools" is taken from
// any of them. A record that is none is an ErrRecord.
func Parse(record []byte, name string) (Conversation, error) {
	c, err := parse(record, name)
	if err != nil {
		return Conversation{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return c, nil
}

func parse(record []byte, name string) (Conversation, error) {
	var c Conversation
	if len(record) > maxBytes {
		return c, fmt.Errorf("%d bytes, expected at most %d", len(record), maxBytes)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(record, &keys); err != nil {
		return c, fmt.Errorf("no JSON object: %w", err)
	}
	for k, v := range keys {
		if string(v) == "null" {
			delete(keys, k)
		}
	}
	f, err := find(keys, name)
	if err != nil {
		return c, err
	}
	if c.Messages, err = f.read(keys); err != nil {
		return c, err
	}
	if len(c.Messages) == 0 || len(c.Messages) > maxMessages {
		return c, fmt.Errorf("%d messages, expected 1 to %d", len(c.Messages), maxMessages)
	}
	c.Tools, err = tools(keys["tools"])
	return c, err
}

// Keys are those of which Parse makes a conversation, or ParsePair a pair, of all formats.
func Keys() []string {
	keys := []string{"system", "tools", "input"}
	for _, name := range order {
		keys = append(keys, formats[name].keys...)
	}
	for _, p := range pairs {
		keys = append(keys, p[:]...)
	}
	for _, a := range answers {
		keys = append(keys, a[:]...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// FormatOf is the format that the keys of a record say, "" where they say none.
func FormatOf(record []byte) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(record, &keys) != nil {
		return ""
	}
	has := func(names []string) bool {
		return !slices.ContainsFunc(names, func(k string) bool { return keys[k] == nil || string(keys[k]) == "null" })
	}
	for _, name := range order {
		if has(formats[name].keys) {
			return name
		}
	}
	if slices.ContainsFunc(pairs, func(p [2]string) bool { return has(p[:]) }) {
		return "prompt"
	}
	return ""
}

// find is the format of a record.
func find(keys map[string]json.RawMessage, name string) (format, error) {
	if name != "" && name != "prompt" {
		f, ok := formats[name]
		if !ok {
			return f, fmt.Errorf("format %q, expected %s", name, strings.Join(order, ", "))
		}
		for _, k := range f.keys {
			if keys[k] == nil {
				return f, fmt.Errorf("no %q, which the format %s has", k, name)
			}
		}
		return f, nil
	}
	for _, known := range order {
		all := name == ""
		for _, k := range formats[known].keys {
			all = all && keys[k] != nil
		}
		if all {
			return formats[known], nil
		}
	}
	for _, p := range pairs {
		if keys[p[0]] != nil && keys[p[1]] != nil {
			return format{p[:], readPair(p[0], p[1])}, nil
		}
	}
	have := make([]string, 0, len(keys))
	for k := range keys {
		have = append(have, k)
	}
	sort.Strings(have)
	return format{}, fmt.Errorf("the keys are %.200s; expected messages, conversations, instruction and output, or prompt and response", strings.Join(have, ", "))
}

// tools is the list of tools, which some records hold as a text.
func tools(raw json.RawMessage) (json.RawMessage, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		raw = json.RawMessage(text)
	}
	if len(raw) == 0 || string(raw) == `""` {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf(`"tools" is no list: %w`, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return raw, nil
}

func text(keys map[string]json.RawMessage, key string) (string, error) {
	var s string
	if raw := keys[key]; raw != nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%q is no string", key)
		}
	}
	return s, nil
}

func readMessages(key string) func(map[string]json.RawMessage) ([]Message, error) {
	return func(keys map[string]json.RawMessage) ([]Message, error) {
		var all []Message
		if err := json.Unmarshal(keys[key], &all); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return all, nil
	}
}

// roles are ShareGPT's names.
var roles = map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bard": "assistant", "system": "system",
	"tool": "tool", "observation": "tool", "function_call": "assistant", "function_response": "tool"}

func readShareGPT(keys map[string]json.RawMessage) ([]Message, error) {
	var turns []map[string]json.RawMessage
	if err := json.Unmarshal(keys["conversations"], &turns); err != nil {
		return nil, fmt.Errorf("conversations: %w", err)
	}
	all, err := system(keys)
	if err != nil {
		return nil, err
	}
	for i, turn := range turns {
		if turn["from"] == nil && turn["role"] != nil { // OpenAI's messages under ShareGPT's key
			return readMessages("conversations")(keys)
		}
		from, err := text(turn, "from")
		if err != nil {
			return nil, fmt.Errorf("conversations[%d]: %w", i, err)
		}
		role, ok := roles[strings.ToLower(from)]
		if !ok {
			return nil, fmt.Errorf("conversations[%d]: \"from\" is %.40q, expected human, gpt, system or tool", i, from)
		}
		value, err := text(turn, "value")
		if err != nil {
			return nil, fmt.Errorf("conversations[%d]: %w", i, err)
		}
		all = append(all, Message{Role: role, Content: value})
	}
	return all, nil
}

// system is the message of a record's "system".
func system(keys map[string]json.RawMessage) ([]Message, error) {
	s, err := text(keys, "system")
	if err != nil || s == "" {
		return nil, err
	}
	return []Message{{Role: "system", Content: s}}, nil
}

func readAlpaca(keys map[string]json.RawMessage) ([]Message, error) {
	all, err := system(keys)
	if err != nil {
		return nil, err
	}
	instruction, err := text(keys, "instruction")
	if err != nil {
		return nil, err
	}
	input, err := text(keys, "input")
	if err != nil {
		return nil, err
	}
	output, err := text(keys, "output")
	if err != nil {
		return nil, err
	}
	if input != "" {
		instruction += "\n\n" + input
	}
	return append(all, Message{Role: "user", Content: instruction}, Message{Role: "assistant", Content: output}), nil
}

// readPair reads a prompt and its response: texts, or lists of messages.
func readPair(prompt, response string) func(map[string]json.RawMessage) ([]Message, error) {
	return func(keys map[string]json.RawMessage) ([]Message, error) {
		all, err := system(keys)
		if err != nil {
			return nil, err
		}
		for key, role := range [2]string{"user", "assistant"} {
			name := [2]string{prompt, response}[key]
			if raw := keys[name]; len(raw) > 0 && raw[0] == '[' {
				more, err := readMessages(name)(keys)
				if err != nil {
					return nil, err
				}
				all = append(all, more...)
				continue
			}
			s, err := text(keys, name)
			if err != nil {
				return nil, err
			}
			all = append(all, Message{Role: role, Content: s})
		}
		return all, nil
	}
}
