package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"
)

// mixed is one request of one of the kinds that clients send in a long life. An answer
// that a server must not give is an error.
func (o options) mixed(client, i uint64) (r result) {
	draw := rand.New(rand.NewPCG(client, i))
	text := prompt(draw.Uint64()%50, 1+draw.IntN(o.words)) // beginnings come again
	var err error
	switch kind := draw.IntN(10); kind {
	case 0, 1, 2: // streamed, greedy and drawn
		r.tokens, _, err = o.stream(context.Background(), map[string]any{
			"prompt": text, "max_tokens": 1 + draw.IntN(o.tokens), "temperature": float64(kind) / 2, "stream": true, "n": 1 + kind,
			"stream_options": map[string]bool{"include_usage": true}, "stop": []string{"xyz", "."},
		})
	case 3, 4: // what lm-evaluation-harness asks
		err = o.whole("/v1/completions", 200, map[string]any{"prompt": []string{text, text + " the", text + " a dog"}, "max_tokens": 1, "echo": true, "logprobs": 1 + draw.IntN(5), "temperature": 0})
	case 5:
		err = o.whole("/v1/completions", 200, map[string]any{"prompt": text, "max_tokens": 1 + draw.IntN(o.tokens), "top_p": 0.9, "seed": i})
	case 6: // leaves
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(draw.IntN(60))*time.Millisecond)
		_, _, err = o.stream(ctx, map[string]any{"prompt": text, "max_tokens": o.tokens, "stream": true})
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	case 7: // nonsense
		bad := []string{`{"prompt":`, `{"prompt":[[-1]],"max_tokens":1}`, `{"prompt":[2000000000],"max_tokens":1}`, `{"prompt":"a","max_tokens":100000000}`, `{"prompt":"a","logprobs":99}`, `{"prompt":"a","tools":[1]}`, "\xff\xfe", `{"prompt":"a","temperature":-1}`}
		err = o.whole("/v1/completions", 400, []byte(bad[draw.IntN(len(bad))]))
	case 8: // invalid UTF-8 in a string is read as U+FFFD
		err = o.whole("/v1/completions", 200, []byte(`{"prompt":"a`+"\xff\xc3"+`","max_tokens":2}`))
	case 9:
		err = o.halfOpen(draw)
	}
	if err != nil && !errors.Is(err, errBusy) {
		r.errs = []error{fmt.Errorf("client %d, request %d: %w", client, i, err)}
	}
	return r
}

// whole posts a body and wants a status and an object of JSON; a full queue is an answer too.
func (o options) whole(call string, status int, body any) error {
	a, err := o.send(context.Background(), call, body)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != status && a.StatusCode != 429 || !json.Valid(text) {
		return fmt.Errorf("%s: status %d, expected %d: %.300s", call, a.StatusCode, status, text)
	}
	return nil
}

// halfOpen begins a request and goes, or asks for a long answer and does not read it.
func (o options) halfOpen(draw *rand.Rand) error {
	u, err := url.Parse(o.base)
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	body := `{"prompt":"a","max_tokens":64,"stream":true}`
	if draw.IntN(2) == 0 {
		body = strings.Repeat(" ", 100)
	}
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", o.key, len(body)+draw.IntN(2), body)
	time.Sleep(time.Duration(draw.IntN(300)) * time.Millisecond)
	return nil
}
