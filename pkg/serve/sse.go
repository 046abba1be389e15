package serve

import (
	"crypto/rand"
	"encoding/json"
	"math"
	"net/http"
	"time"
)

// newID is a name that no other answer has.
func newID(prefix string) string { return prefix + rand.Text() }

// number is a log-probability as JSON can hold it: nil for none, -9999 for minus infinity.
func number(x float32) *float64 {
	v := float64(x)
	switch {
	case math.IsNaN(v):
		return nil
	case v < -9999:
		v = -9999
	}
	return &v
}

// writeTimeout is how long a client may take to read one event.
const writeTimeout = 30 * time.Second

// events begins a stream of server-sent events.
func (w *response) events() {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(200)
}

// event sends one object. A client that is gone or does not read ends the stream.
func (w *response) event(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.raw("data: " + string(body) + "\n\n")
}

func (w *response) raw(s string) error {
	c := http.NewResponseController(w)
	c.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every connection has one
	if _, err := w.Write([]byte(s)); err != nil {
		return errGone
	}
	if c.Flush() != nil {
		return errGone
	}
	return nil
}

// over ends a stream; an error that came on the way is its last event.
func (w *response) over(err error) error {
	if err != nil {
		if e := asAPI(err); e != nil {
			w.event(errorBody(e))
		}
		return nil
	}
	return w.raw("data: [DONE]\n\n")
}

// stream answers with one event a token.
func (q *completionRequest) stream(w *response, answer completionAnswer, all []*completion, prompt int) error {
	w.events()
	u := usage{Prompt: prompt}
	for _, c := range all {
		send := func(last bool) error {
			choice := q.choice(c, last)
			if choice.Text == "" && !last && (choice.Logprobs == nil || len(choice.Logprobs.Tokens) == 0) {
				return nil
			}
			a := answer
			a.Choices = []completionChoice{choice}
			return w.event(a)
		}
		err := c.drain(func() error {
			if c.made == 0 || c.ended {
				return nil // the prompt goes with the first new token, the end with its reason
			}
			return send(false)
		})
		if err == nil {
			err = send(true)
		}
		if err != nil {
			return w.over(err)
		}
		u.Completion += c.made
	}
	if q.usage() {
		u.Total = u.Prompt + u.Completion
		answer.Choices, answer.Usage = []completionChoice{}, &u
		if err := w.event(answer); err != nil {
			return w.over(err)
		}
	}
	return w.over(nil)
}
