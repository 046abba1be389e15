package chat

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/internal/jinja"
)

// Message is one turn of a chat.
type Message struct {
	Role    string // system, user, assistant, tool, or whatever the template knows
	Content string // text; "" where JSON says more
	// JSON is the whole message where it holds more than a role and a text: parts,
	// tool calls, a name, reasoning. Role and Content are read from it.
	JSON json.RawMessage
}

// UnmarshalJSON reads {"role": ..., "content": ...} and keeps what else there is. The
// content is a string, null, or a list of parts, whose texts are joined.
func (m *Message) UnmarshalJSON(text []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("a message is no object: %w", err)
	}
	var role string
	if err := json.Unmarshal(keys["role"], &role); err != nil || role == "" {
		return errors.New(`a message has no "role"`)
	}
	content, plain, err := contentText(keys["content"])
	if err != nil {
		return err
	}
	*m = Message{Role: role, Content: content}
	if !plain || len(keys) > 2 {
		m.JSON = append(json.RawMessage(nil), text...)
	}
	return nil
}

// MarshalJSON writes the message as it was read.
func (m Message) MarshalJSON() ([]byte, error) {
	if m.JSON != nil {
		return m.JSON, nil
	}
	return json.Marshal(struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}{m.Role, m.Content})
}

// contentText is the text of a content; plain says that it is a string.
func contentText(raw json.RawMessage) (text string, plain bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(raw, &text) == nil {
		return text, true, nil
	}
	var parts []struct{ Text string }
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", false, errors.New(`a message's "content" is neither a string nor a list of parts`)
	}
	for _, p := range parts {
		text += p.Text
	}
	return text, false, nil
}

// Conversation is a chat, with the tools that it may call.
type Conversation struct {
	Messages []Message       `json:"messages"`
	Tools    json.RawMessage `json:"tools,omitempty"` // a list of tools as OpenAI describes them, or nil
	// Given is how many of the messages are a prompt: of those the assistant's turns are not
	// learned.
	Given int `json:"-"`
}

// Bounds of one conversation.
const (
	maxMessages = 10000
	maxBytes    = 16 << 20
)

// value is a message as a template sees it.
func (m Message) value() (any, error) {
	if m.JSON != nil {
		return jinja.FromJSON(m.JSON)
	}
	d := jinja.NewDict()
	d.Set("role", m.Role)
	d.Set("content", m.Content)
	return d, nil
}

// with is the message with another text.
func (m Message) with(content string) (Message, error) {
	out := Message{Role: m.Role, Content: content}
	if m.JSON == nil {
		return out, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(m.JSON, &keys); err != nil {
		return m, err
	}
	text, err := json.Marshal(content)
	if err != nil {
		return m, err
	}
	keys["content"] = text
	out.JSON, err = json.Marshal(keys)
	return out, err
}
