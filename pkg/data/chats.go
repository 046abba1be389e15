package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// FormatText is the format of records whose text is in a field.
const FormatText = "text"

// Formats are the names that Options.Format may have.
func Formats() []string { return append([]string{FormatText}, chat.Formats()...) }

// Check reports a format or a template that is not known, or that contradicts another
// value. prefix is what stands in front of a name where the user gave it: "data." or "--".
func (o Options) Check(prefix string) error {
	if o.Format != "" && !slices.Contains(Formats(), o.Format) {
		return fmt.Errorf("%sformat is %q, expected one of %s", prefix, o.Format, strings.Join(Formats(), ", "))
	}
	if o.Template != "" {
		if _, err := chat.Named(o.Template); err != nil {
			return fmt.Errorf("%stemplate: %w", prefix, err)
		}
	}
	switch {
	case o.chats() && (o.Prompt != "" || o.Field != "" && o.Field != "text"):
		return fmt.Errorf("%sformat is %q, which is a chat format: a text field or prompt field does not apply", prefix, o.Format)
	case o.Template != "" && !o.chats() && !o.auto():
		return fmt.Errorf("%stemplate is %q, and the records are no chats: it applies only to them", prefix, o.Template)
	}
	return nil
}

// chats reports whether records are said to be chats.
func (o Options) chats() bool { return o.Format != "" && o.Format != FormatText }

// auto reports whether the keys of the records decide.
func (o Options) auto() bool {
	return o.Format == "" && o.Prompt == "" && (o.Field == "" || o.Field == "text")
}

// Chats reports whether the documents are records of chats, which Encode renders with
// Template.
func (p Part) Chats() bool { return p.chats }

// readChats appends the conversations of a file. lacks is why its records are not texts,
// where that made them chats: it is the error of records that are neither.
func (p *Part) readChats(f *os.File, s source, r Reader, o Options, lacks error) error {
	switch {
	case r.Plain:
		return errors.New("it is one text, expected records of chats (.jsonl, .json, .parquet, .csv)")
	case p.count > 0 && !p.chats || p.ids != nil:
		return errors.New("it holds chats, and files before it hold text")
	}
	p.format = o.Format
	return r.Read(f, nil, func(rec Record) error {
		object := rec.Values[0]
		if lacks != nil && !p.chats && chat.FormatOf(object) == "" && !chat.IsPair(object) {
			return lacks
		}
		if o.Format == "" && chat.IsPair(object) {
			return fmt.Errorf("%s: it holds a chosen and a rejected answer: preference.loss (finetune --preference dpo) learns from such pairs, data.format names another reading", rec.Place)
		}
		c, err := chat.Parse(object, o.Format)
		if err != nil {
			return fmt.Errorf("%s: %w", rec.Place, err)
		}
		if !slices.ContainsFunc(c.Messages, func(m chat.Message) bool { return m.Role == "assistant" }) {
			p.Skipped++
			return nil
		}
		p.chats = true
		return p.put(object, nil, s.path+": "+rec.Place)
	})
}

// chatDate is what templates that print the date get, so that a text is the same
// whenever it is rendered: the date that Llama 3's template has by itself.
var chatDate = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// encodeChats renders each conversation with the template: a document, of which the
// assistant's turns are predicted.
func (p Part) encodeChats(t tokenizer.Tokenizer) (Tokens, error) {
	if p.Template == nil {
		return nil, fmt.Errorf("%w: %s: it holds chats, and there is no chat template", ErrFormat, p.places[0])
	}
	var out Tokens
	for i, record := range p.Documents {
		ids, learned, err := p.encodeChat(t, record, p.places[i])
		if err != nil {
			return nil, err
		}
		tokens := chatTokens(ids, learned)
		if p.Pack != PackDocuments && len(tokens) > 0 {
			tokens[0] ^= begins
		}
		out = append(out, tokens...)
	}
	return out, nil
}

// encodeChat renders a conversation, and says what of it is predicted.
func (p Part) encodeChat(t tokenizer.Tokenizer, record []byte, place string) (ids []int32, learned []bool, err error) {
	template := *p.Template
	template.Now = func() time.Time { return chatDate }
	c, err := chat.Parse(record, p.format)
	if err == nil {
		ids, learned, err = template.Encode(t, c)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrFormat, place, err)
	}
	return ids, learned, err
}

// listMark stands behind the name of a column whose values are the JSON of lists.
const listMark = "[]"

// listed are columns whose texts may be the JSON of lists of messages.
var listed = []string{"messages", "conversations", "chosen", "rejected"}

// rowObject is a row of a table as a JSON object, for chat.Parse. Lists of messages may
// also stand in a table as text, their JSON; what is null is left out.
func rowObject(columns []string, values [][]byte) ([]byte, error) {
	keys := map[string]any{}
	for i, name := range columns {
		switch {
		case values[i] == nil:
		case strings.HasSuffix(name, listMark):
			keys[strings.TrimSuffix(name, listMark)] = json.RawMessage(values[i])
		case slices.Contains(listed, name) && json.Valid(values[i]) && values[i][0] == '[':
			keys[name] = json.RawMessage(values[i])
		default:
			keys[name] = string(values[i])
		}
	}
	return json.Marshal(keys)
}
