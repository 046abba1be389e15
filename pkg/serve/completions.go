package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ecospa/ecospa/pkg/infer"
)

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	sampling
	Prompt    prompts `json:"prompt"`
	MaxTokens *int    `json:"max_tokens"`
	Echo      bool    `json:"echo"`
	Logprobs  *int    `json:"logprobs"`
}

// defaultTokens is OpenAI's default of max_tokens for completions.
const defaultTokens = 16

// logprobs is the table of a completion's tokens. The first of a text has none.
type logprobs struct {
	Tokens        []string              `json:"tokens"`
	TokenLogprobs []*float64            `json:"token_logprobs"`
	TopLogprobs   []map[string]*float64 `json:"top_logprobs"`
	TextOffset    []int                 `json:"text_offset"`
}

type completionChoice struct {
	Text         string    `json:"text"`
	Index        int       `json:"index"`
	Logprobs     *logprobs `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

type completionAnswer struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
}

// errGone is returned when the client left.
var errGone = errors.New("serve: the client is gone")

// completion is one choice under way.
type completion struct {
	writer
	stream  *infer.Stream
	index   int
	offsets []int // of the prompt's tokens (echo)
	pieces  []piece
	seen    int // prompt tokens told so far
	made    int // tokens generated
	reason  string
}

func (s *Server) completions(m *Model, w *response, r *http.Request) error {
	var q completionRequest
	if err := readJSON(r, &q); err != nil {
		return err
	}
	if len(q.Prompt) == 0 {
		return bad("prompt", "prompt is missing")
	}
	all, end, err := s.begin(w, r, func(ctx context.Context) ([]*completion, int, error) { return q.start(ctx, m) })
	if err != nil {
		return err
	}
	defer end()
	answer := completionAnswer{ID: newID("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: m.ID}
	if q.Stream {
		return q.stream(w, answer, all, w.prompt)
	}
	answer.Usage, err = drainAll(all, w.prompt, func(c *completion) { answer.Choices = append(answer.Choices, q.choice(c, true)) })
	if err == nil {
		w.json(200, answer)
	}
	return err
}

// begin queues the choices of a request by start; end, to be called when the answer is
// over, gives what is left of them up and counts their tokens.
func (s *Server) begin(w *response, r *http.Request, start func(ctx context.Context) (all []*completion, prompt int, err error)) (all []*completion, end func(), err error) {
	ctx, cancel := context.WithCancel(r.Context())
	if all, w.prompt, err = start(ctx); err != nil {
		cancel()
		return nil, nil, err
	}
	return all, func() {
		cancel()
		for _, c := range all {
			w.tokens += c.made
		}
		s.metrics.tokens(w.prompt, w.tokens, w.start)
	}, nil
}

// drainAll takes every choice whole and hands it to each.
func drainAll(all []*completion, prompt int, each func(c *completion)) (*usage, error) {
	u := &usage{Prompt: prompt}
	for _, c := range all {
		if err := c.drain(nil); err != nil {
			return nil, err
		}
		u.Completion += c.made
		each(c)
	}
	u.Total = u.Prompt + u.Completion
	return u, nil
}

// start checks and queues every choice of a request.
func (q *completionRequest) start(ctx context.Context, m *Model) (all []*completion, tokens int, err error) {
	cfg, err := q.config()
	if err != nil {
		return nil, 0, err
	}
	n := defaultTokens
	if q.MaxTokens != nil {
		n = *q.MaxTokens
	}
	if n < 0 || n == 0 && !q.Echo {
		return nil, 0, bad("max_tokens", fmt.Sprintf("max_tokens is %d, expected at least 1, or 0 with echo", n))
	}
	req := infer.Request{MaxTokens: n, Sampler: cfg, Stop: m.Ends, Echo: q.Echo && q.Logprobs != nil, Logprobs: q.Logprobs != nil}
	if q.Logprobs != nil {
		if req.Top = *q.Logprobs; req.Top < 0 || req.Top > infer.MaxTop {
			return nil, 0, bad("logprobs", fmt.Sprintf("logprobs is %d, expected 0 to %d", req.Top, infer.MaxTop))
		}
	}
	if q.choices()*len(q.Prompt) > maxPrompts {
		return nil, 0, bad("n", fmt.Sprintf("n and prompt ask for %d choices, expected at most %d", q.choices()*len(q.Prompt), maxPrompts))
	}
	for _, p := range q.Prompt {
		ids := m.encode(p)
		tokens += len(ids)
		text, offsets := m.spell(p, ids)
		for i := range q.choices() {
			one := req
			one.Prompt, one.Sampler.Seed = ids, cfg.Seed+uint64(i)
			c := &completion{index: len(all), writer: writer{m: m, stops: q.Stop}, offsets: offsets}
			if q.Echo {
				c.begin(text)
			}
			if n == 0 && !one.Echo { // nothing to compute: the prompt comes back
				c.reason = string(infer.Exhausted)
				all = append(all, c)
				continue
			}
			if c.stream, err = m.submit(ctx, one); err != nil {
				return nil, 0, err
			}
			all = append(all, c)
		}
	}
	return all, tokens, nil
}

// submit queues a request; what the scheduler has against it becomes an answer.
func (m *Model) submit(ctx context.Context, r infer.Request) (*infer.Stream, error) {
	if len(r.Prompt) == 0 {
		return nil, bad("prompt", "the prompt is empty, and the model has no token that begins a text")
	}
	s, err := m.Scheduler.Submit(ctx, r)
	if err != nil && !errors.Is(err, infer.ErrFull) && !errors.Is(err, infer.ErrTooLong) && !errors.Is(err, infer.ErrClosed) {
		err = bad("prompt", strings.TrimPrefix(err.Error(), "infer: "))
	}
	return s, err
}

// next takes one token; ok is false at the end.
func (c *completion) next() (ok bool, err error) {
	if c.stream == nil || c.ended {
		return false, nil
	}
	t, ok := c.stream.Next()
	switch {
	case !ok:
		reason, err := c.stream.Result()
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return false, errGone
			}
			return false, err
		}
		c.reason = string(reason)
		c.finish()
		return false, nil
	case t.Prompt:
		c.pieces = append(c.pieces, piece{Token: t, name: c.m.name(t.ID), offset: c.offsets[c.seen]})
		c.seen++
	default:
		c.made++
		c.pieces = append(c.pieces, c.add(t))
		if c.ended {
			c.reason = string(infer.Stopped)
			c.stream.Cancel()
		}
	}
	return true, nil
}

// drain takes all tokens; each, if it is not nil, is called after every one.
func (c *completion) drain(each func() error) error {
	for {
		ok, err := c.next()
		if err != nil || !ok {
			return err
		}
		if each != nil {
			if err := each(); err != nil {
				return err
			}
		}
	}
}

// choice is what there is of c since the last call.
func (q *completionRequest) choice(c *completion, last bool) completionChoice {
	out := completionChoice{Index: c.index, Text: c.take(last)}
	if q.Logprobs != nil {
		out.Logprobs = c.table(*q.Logprobs)
	}
	if last {
		out.FinishReason = &c.reason
	}
	c.pieces = nil
	return out
}

// table is the log-probabilities of the pieces at hand.
func (c *completion) table(top int) *logprobs {
	l := &logprobs{Tokens: []string{}, TokenLogprobs: []*float64{}, TopLogprobs: []map[string]*float64{}, TextOffset: []int{}}
	text := utf8.RuneCountInString(c.text.String())
	for _, p := range c.pieces {
		if c.ended && !p.Prompt && p.offset >= text && p.name != "" && len(c.m.bytesOf(p.ID)) > 0 {
			continue // part of the stop text
		}
		l.Tokens = append(l.Tokens, p.name)
		l.TextOffset = append(l.TextOffset, p.offset)
		lp := number(p.Logprob)
		l.TokenLogprobs = append(l.TokenLogprobs, lp)
		if lp == nil {
			l.TopLogprobs = append(l.TopLogprobs, nil)
			continue
		}
		// Of equal names the larger log-probability stays; the token's own is there.
		names := map[string]*float64{}
		for _, t := range append(p.Top[:len(p.Top):len(p.Top)], infer.Candidate{ID: p.ID, Logprob: p.Logprob}) {
			name, v := c.m.name(t.ID), number(t.Logprob)
			if old := names[name]; old == nil || *v > *old {
				names[name] = v
			}
		}
		if top == 0 {
			names = map[string]*float64{p.name: lp}
		}
		l.TopLogprobs = append(l.TopLogprobs, names)
	}
	return l
}
