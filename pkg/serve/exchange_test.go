package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/infer"
)

// exchange is a request as a client sent it (scripts/clients; ids are taken modulo the test
// model's 256) and the status that it expects.
type exchange struct {
	Client, Path string
	Status       int
	Body         json.RawMessage
}

// asked is what a request says of its answer.
type asked struct {
	Prompt   any
	N        int
	Stream   bool
	Echo     bool
	Logprobs any
	Usage    *struct {
		Include bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (a asked) choices() int {
	n := max(1, a.N)
	if list, ok := a.Prompt.([]any); ok {
		n *= len(list)
	}
	return n
}

// TestExchanges answers what clients that nobody here wrote have asked, in the form that the
// protocol has: https://platform.openai.com/docs/api-reference.
func TestExchanges(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	file, err := os.ReadFile("testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(file)); lines.Scan(); {
		var e exchange
		var a asked
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.Body, &a); err != nil {
			t.Fatal(err)
		}
		clients[e.Client] = true
		t.Run(e.Client+e.Path, func(t *testing.T) {
			if a.Stream && e.Status == 200 {
				a.checkStream(t, e, stream(t, web.URL+e.Path, string(e.Body)))
				return
			}
			code, answer := post(t, web.URL+e.Path, string(e.Body))
			switch {
			case code != e.Status:
				t.Fatalf("status %d, expected %d: %v", code, e.Status, answer)
			case code != 200:
				keys(t, answer["error"], "message", "type", "param", "code")
			case e.Path == "/tokenize":
				keys(t, answer, "tokens", "count", "max_model_len")
			default:
				a.checkWhole(t, e, answer)
			}
		})
	}
	if len(clients) != 5 {
		t.Errorf("%d clients: %v", len(clients), clients)
	}
}

func keys(t *testing.T, v any, names ...string) {
	t.Helper()
	m, ok := v.(map[string]any)
	for _, n := range names {
		if _, has := m[n]; !ok || !has {
			t.Errorf("%v has no %s", v, n)
		}
	}
}

// checkWhole checks an answer that comes in one piece.
func (a asked) checkWhole(t *testing.T, e exchange, answer map[string]any) {
	keys(t, answer, "id", "object", "created", "model", "choices", "usage")
	choices := answer["choices"].([]any)
	if len(choices) != a.choices() || at(answer, "usage", "total_tokens") != at(answer, "usage", "prompt_tokens").(float64)+at(answer, "usage", "completion_tokens").(float64) {
		t.Errorf("%d choices, expected %d; usage %v", len(choices), a.choices(), answer["usage"])
	}
	for i, c := range choices {
		keys(t, c, "index", "finish_reason", "logprobs")
		if reason := at(c, "finish_reason"); at(c, "index") != float64(i) || reason != "stop" && reason != "length" {
			t.Errorf("choice %d: index %v, finish_reason %v", i, at(c, "index"), reason)
		}
		if strings.Contains(e.Path, "chat") {
			keys(t, at(c, "message"), "role", "content")
		} else {
			keys(t, c, "text")
		}
		a.checkLogprobs(t, e, at(c, "logprobs"))
	}
}

// checkLogprobs checks the table of a choice: there if it was asked for.
func (a asked) checkLogprobs(t *testing.T, e exchange, l any) {
	asked := a.Logprobs != nil && a.Logprobs != false
	if (l != nil) != asked {
		t.Errorf("log-probabilities %v, asked for: %t", l, asked)
		return
	}
	switch {
	case l == nil:
	case strings.Contains(e.Path, "chat"):
		for _, c := range at(l, "content").([]any) {
			keys(t, c, "token", "logprob", "bytes", "top_logprobs")
		}
	default:
		keys(t, l, "tokens", "token_logprobs", "top_logprobs", "text_offset")
		n := len(at(l, "tokens").([]any))
		for _, k := range []string{"token_logprobs", "top_logprobs", "text_offset"} {
			if len(at(l, k).([]any)) != n {
				t.Errorf("%d tokens, %d of %s", n, len(at(l, k).([]any)), k)
			}
		}
	}
}

// checkStream checks events: one reason at the end of every choice, and usage where asked.
func (a asked) checkStream(t *testing.T, e exchange, events []map[string]any) {
	reasons, used := 0, false
	for _, v := range events {
		keys(t, v, "id", "object", "created", "model", "choices")
		for _, c := range v["choices"].([]any) {
			keys(t, c, "index", "finish_reason")
			if at(c, "finish_reason") != nil {
				reasons++
			}
			if strings.Contains(e.Path, "chat") {
				keys(t, c, "delta")
			} else {
				keys(t, c, "text")
			}
		}
		used = used || v["usage"] != nil
	}
	if reasons != a.choices() || used != (a.Usage != nil && a.Usage.Include) {
		t.Errorf("%d reasons for %d choices, usage %t", reasons, a.choices(), used)
	}
}
