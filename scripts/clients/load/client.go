package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// words are those of the synthetic stories, which their tokenizers have whole.
var words = strings.Fields("the small fox who lived by the river was her best friend and one day she found a red key then the old bear took it to the mill where it was raining so he put the golden lamp in a box and went home with the mouse")

// prompt is some words that follow from the number.
func prompt(number uint64, n int) string {
	r := rand.New(rand.NewPCG(number, 7))
	var s []string
	for range n {
		s = append(s, words[r.IntN(len(words))])
	}
	return strings.Join(s, " ")
}

// errBusy is a server that asks to come again later.
var errBusy = errors.New("status 429")

// send posts a body to a call.
func (o options) send(ctx context.Context, call string, body any) (*http.Response, error) {
	text, ok := body.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, "POST", o.base+call, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if o.key != "" {
		r.Header.Set("Authorization", "Bearer "+o.key)
	}
	return client.Do(r)
}

// stream reads a streamed completion: how many tokens, as the server counts them, and when
// the first came.
func (o options) stream(ctx context.Context, body any) (tokens int, first time.Duration, err error) {
	start := time.Now()
	a, err := o.send(ctx, "/v1/completions", body)
	if err != nil {
		return 0, 0, err
	}
	defer a.Body.Close()
	if a.StatusCode == 429 {
		return 0, 0, errBusy
	}
	if a.StatusCode != 200 {
		text, _ := io.ReadAll(a.Body)
		return 0, 0, fmt.Errorf("status %d: %s", a.StatusCode, text)
	}
	lines, ended := bufio.NewScanner(a.Body), false
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			ended = true
			continue
		}
		if !o.mix && first > 0 && !strings.Contains(data, `"usage":{`) && !strings.Contains(data, `"error"`) {
			continue // a token: what is measured needs the cores more than its parts do
		}
		var e struct {
			Choices []struct{ Text string }
			Usage   *struct {
				Tokens int `json:"completion_tokens"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return tokens, first, fmt.Errorf("event %q: %w", data, err)
		}
		switch {
		case e.Error != nil:
			return tokens, first, fmt.Errorf("the stream says: %s", e.Error.Message)
		case e.Usage != nil:
			tokens = e.Usage.Tokens
		case len(e.Choices) > 0 && first == 0:
			first = time.Since(start)
		}
	}
	if err := lines.Err(); err != nil {
		return tokens, first, err
	}
	if !ended {
		return tokens, first, fmt.Errorf("the stream ended without [DONE]")
	}
	return tokens, first, nil
}
