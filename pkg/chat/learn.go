package chat

import (
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/jinja"
)

// Span is a part of a rendered text, in bytes.
type Span = jinja.Span

// Learn renders a conversation and says what of the text is learned: each turn of the
// assistant, but those in the first Given messages, with what ends it, in order. White space behind an end mark (ChatML's line
// end) is not learned: nothing asks a model for it. A turn that cannot be told apart in
// the text is an ErrTemplate.
func (t *Template) Learn(c Conversation) (text string, learned []Span, err error) {
	full, err := t.render(c, false)
	if err != nil {
		return "", nil, err
	}
	if len(full.Generated) > 0 && c.Given == 0 {
		return full.Text, full.Generated, nil
	}
	for i, m := range c.Messages {
		if m.Role != "assistant" || i < c.Given {
			continue
		}
		s, err := t.turn(c, i, full.Text)
		if err != nil {
			return "", nil, err
		}
		if n := len(learned); n > 0 && s.From < learned[n-1].To {
			s.From = learned[n-1].To
		}
		if s.From < s.To {
			learned = append(learned, s)
		}
	}
	return full.Text, learned, nil
}

// turn finds the assistant's message i in the text of the whole conversation.
func (t *Template) turn(c Conversation, i int, full string) (Span, error) {
	upTo := func(n int) Conversation { return Conversation{Messages: c.Messages[:n], Tools: c.Tools} }
	prompt, errPrompt := t.Render(upTo(i), true)
	alone, errAlone := t.Render(upTo(i+1), false)
	begins := errPrompt == nil && prompt != "" && strings.HasPrefix(full, prompt)
	if begins && errAlone == nil && len(alone) > len(prompt) && strings.HasPrefix(alone, prompt) {
		// The end of a text as a whole is no end of a turn within it.
		turn := alone
		if i+1 < len(c.Messages) && !strings.HasPrefix(full, alone) && t.tokens.EOS != "" {
			turn = strings.TrimSuffix(alone, t.tokens.EOS)
		}
		if strings.HasPrefix(full, turn) && len(turn) > len(prompt) {
			return t.trimmed(c, i, full, Span{From: len(prompt), To: len(turn)})
		}
	}
	content, err := t.content(c, i, full)
	if err != nil {
		return Span{}, err
	}
	if begins && len(prompt) <= content.From {
		content.From = len(prompt)
	}
	if errAlone == nil {
		content.To = t.ending(c, i, full, content.To)
	}
	return content, nil
}

// common is the length of the common beginning.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// commonEnd is the length of the common end.
func commonEnd(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// marks are contents that no text has and that differ in their first and last bytes.
var marks = [2]string{"a\u0001turn\u0001a", "b\u0001turn\u0001b"}

// content finds a message's content by what of the text changes with it.
func (t *Template) content(c Conversation, i int, full string) (Span, error) {
	var texts [2]string
	for k := range marks {
		m, err := c.Messages[i].with(marks[k])
		if err != nil {
			return Span{}, err
		}
		changed := Conversation{Messages: append(append([]Message(nil), c.Messages[:i]...), m), Tools: c.Tools}
		changed.Messages = append(changed.Messages, c.Messages[i+1:]...)
		if texts[k], err = t.Render(changed, false); err != nil {
			return Span{}, err
		}
	}
	from := common(texts[0], texts[1])
	end := min(commonEnd(texts[0], texts[1]), len(full)-from)
	if strings.Count(texts[0], marks[0]) != 1 || !strings.HasPrefix(full, texts[0][:from]) || !strings.HasSuffix(full, texts[0][len(texts[0])-end:]) {
		return Span{}, fmt.Errorf("%w: message %d, of the assistant, cannot be told apart in the rendered text", ErrTemplate, i)
	}
	return Span{From: from, To: len(full) - end}, nil
}

// trimmed is a turn without the white space behind what ends it.
func (t *Template) trimmed(c Conversation, i int, full string, s Span) (Span, error) {
	content, err := t.content(c, i, full)
	if err != nil || content.To > s.To || content.To < s.From {
		return s, nil // a turn without a text: a call of a tool
	}
	s.To = trim(full, content.To, s.To)
	return s, nil
}

// trim is the end of a turn whose content ends at content: without white space at the
// end, if that leaves anything to end it.
func trim(full string, content, end int) int {
	kept := strings.TrimRight(full[content:end], " \t\r\n")
	if kept == "" {
		return end
	}
	return content + len(kept)
}

// ending is where a turn whose content ends at content is over: what follows the
// content in the text of the messages up to it.
func (t *Template) ending(c Conversation, i int, full string, content int) int {
	m, err := c.Messages[i].with(marks[0])
	if err != nil {
		return content
	}
	text, err := t.Render(Conversation{Messages: append(append([]Message(nil), c.Messages[:i]...), m), Tools: c.Tools}, false)
	at := strings.LastIndex(text, marks[0])
	if err != nil || at < 0 {
		return content
	}
	return trim(full, content, content+common(text[at+len(marks[0]):], full[content:]))
}
