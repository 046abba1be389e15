package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/infer"
)

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	sampling
	Messages            []chatMessage `json:"messages"`
	MaxTokens           *int          `json:"max_tokens"`
	MaxCompletionTokens *int          `json:"max_completion_tokens"`
	Logprobs            bool          `json:"logprobs"`
	TopLogprobs         *int          `json:"top_logprobs"`
}

type chatMessage struct {
	Role    string      `json:"role"`
	Content textOrParts `json:"content"`
	Name    string      `json:"name"`
}

// textOrParts is a string, or an array of parts of which all are text.
type textOrParts string

func (t *textOrParts) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return json.Unmarshal(b, (*string)(t))
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return bad("messages", "a message's content is neither a string nor an array of parts")
	}
	for _, p := range parts {
		if p.Type != "text" {
			return bad("messages", fmt.Sprintf("a message has a part of type %q, expected text", p.Type))
		}
		*t += textOrParts(p.Text)
	}
	return nil
}

type chatDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatChoice struct {
	Index        int           `json:"index"`
	Message      *chatDelta    `json:"message,omitempty"`
	Delta        *chatDelta    `json:"delta,omitempty"`
	Logprobs     *chatLogprobs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
}

type chatLogprobs struct {
	Content []chatLogprob `json:"content"`
}

type chatLogprob struct {
	Token       string         `json:"token"`
	Logprob     *float64       `json:"logprob"`
	Bytes       []int          `json:"bytes"`
	TopLogprobs *[]chatLogprob `json:"top_logprobs,omitempty"`
}

type chatAnswer struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *usage       `json:"usage,omitempty"`
}

func (s *Server) chat(m *Model, w *response, r *http.Request) error {
	var q chatRequest
	if err := readJSON(r, &q); err != nil {
		return err
	}
	all, end, err := s.begin(w, r, func(ctx context.Context) ([]*completion, int, error) { return q.start(ctx, m, s.o.MaxTokens) })
	if err != nil {
		return err
	}
	defer end()
	answer := chatAnswer{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: m.ID}
	if q.Stream {
		return q.stream(w, answer, all, w.prompt)
	}
	answer.Usage, err = drainAll(all, w.prompt, func(c *completion) {
		text := c.take(true)
		answer.Choices = append(answer.Choices, chatChoice{
			Index: c.index, Message: &chatDelta{Role: "assistant", Content: &text}, Logprobs: q.table(c), FinishReason: &c.reason,
		})
	})
	if err == nil {
		w.json(200, answer)
	}
	return err
}

// start renders the messages and queues every choice.
func (q *chatRequest) start(ctx context.Context, m *Model, most int) (all []*completion, tokens int, err error) {
	cfg, err := q.config()
	if err != nil {
		return nil, 0, err
	}
	ids, err := q.render(m)
	if err != nil {
		return nil, 0, err
	}
	n, param := min(most, m.Scheduler.Context()-len(ids)), "max_tokens"
	if q.MaxTokens != nil {
		n = *q.MaxTokens
	}
	if q.MaxCompletionTokens != nil {
		n, param = *q.MaxCompletionTokens, "max_completion_tokens"
	}
	if q.MaxTokens == nil && q.MaxCompletionTokens == nil && n < 1 {
		return nil, 0, fmt.Errorf("%w: the messages are %d tokens, the context is %d", infer.ErrTooLong, len(ids), m.Scheduler.Context())
	}
	if n < 1 {
		return nil, 0, bad(param, fmt.Sprintf("%s is %d, expected at least 1", param, n))
	}
	req := infer.Request{Prompt: ids, MaxTokens: n, Sampler: cfg, Stop: m.Ends, Logprobs: q.Logprobs}
	if q.TopLogprobs != nil {
		if req.Top = *q.TopLogprobs; req.Top < 0 || req.Top > infer.MaxTop || !q.Logprobs {
			return nil, 0, bad("top_logprobs", fmt.Sprintf("top_logprobs is %d, expected 0 to %d together with logprobs", req.Top, infer.MaxTop))
		}
	}
	for i := range q.choices() {
		one := req
		one.Sampler.Seed += uint64(i)
		c := &completion{index: i, writer: writer{m: m, stops: q.Stop}}
		if c.stream, err = m.submit(ctx, one); err != nil {
			return nil, 0, err
		}
		all = append(all, c)
	}
	return all, len(ids), nil
}

// render is the ids of the messages in the model's own template, which writes its
// special tokens itself.
func (q *chatRequest) render(m *Model) ([]int32, error) {
	if m.Chat == nil {
		return nil, bad("messages", "this model has no chat template: use /v1/completions")
	}
	if len(q.Messages) == 0 {
		return nil, bad("messages", "messages is missing or empty")
	}
	var c chat.Conversation
	for i, msg := range q.Messages {
		if msg.Role == "" {
			return nil, bad("messages", fmt.Sprintf("messages[%d] has no role", i))
		}
		c.Messages = append(c.Messages, chat.Message{Role: msg.Role, Content: string(msg.Content)})
	}
	text, err := m.Chat.Render(c, true)
	if err != nil {
		return nil, bad("messages", "the model's chat template does not take these messages: "+err.Error())
	}
	return m.Tokenizer.Encode(nil, []byte(text)), nil
}

// table is the log-probabilities of the pieces at hand.
func (q *chatRequest) table(c *completion) *chatLogprobs {
	if !q.Logprobs {
		return nil
	}
	l := &chatLogprobs{Content: []chatLogprob{}}
	for _, p := range c.pieces {
		one := c.logprob(p.ID, p.Logprob)
		top := []chatLogprob{}
		if q.TopLogprobs != nil {
			for _, t := range p.Top[:min(*q.TopLogprobs, len(p.Top))] {
				top = append(top, c.logprob(t.ID, t.Logprob))
			}
		}
		one.TopLogprobs = &top
		l.Content = append(l.Content, one)
	}
	c.pieces = nil
	return l
}

func (c *completion) logprob(id int32, lp float32) chatLogprob {
	out := chatLogprob{Token: c.m.name(id), Logprob: number(lp), Bytes: []int{}}
	if b, err := c.m.Tokenizer.Piece(id); err == nil {
		for _, x := range b {
			out.Bytes = append(out.Bytes, int(x))
		}
	}
	return out
}

// stream answers with one event a token.
func (q *chatRequest) stream(w *response, answer chatAnswer, all []*completion, prompt int) error {
	answer.Object = "chat.completion.chunk"
	w.events()
	send := func(c chatChoice) error {
		a := answer
		a.Choices = []chatChoice{c}
		return w.event(a)
	}
	u := usage{Prompt: prompt}
	for _, c := range all {
		empty := ""
		err := send(chatChoice{Index: c.index, Delta: &chatDelta{Role: "assistant", Content: &empty}})
		tell := func() error {
			text := c.take(false)
			if text == "" {
				return nil // its log-probabilities go with the text that it completes
			}
			return send(chatChoice{Index: c.index, Delta: &chatDelta{Content: &text}, Logprobs: q.table(c)})
		}
		if err == nil {
			err = c.drain(tell)
		}
		if err == nil {
			last := chatChoice{Index: c.index, Delta: &chatDelta{}, FinishReason: &c.reason}
			if text := c.take(true); text != "" {
				last.Delta.Content = &text
			}
			if len(c.pieces) > 0 {
				last.Logprobs = q.table(c)
			}
			err = send(last)
		}
		if err != nil {
			return w.over(err)
		}
		u.Completion += c.made
	}
	if q.usage() {
		u.Total = u.Prompt + u.Completion
		answer.Choices, answer.Usage = []chatChoice{}, &u
		if err := w.event(answer); err != nil {
			return w.over(err)
		}
	}
	return w.over(nil)
}
