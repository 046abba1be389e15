package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// plain is a chat template that writes role and text of every message.
const plain = `{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('there are no tools') }}{% endif %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`

// start serves a small model of bytes.
func start(t testing.TB, o Options, so infer.SchedulerOptions) (*httptest.Server, *Model) {
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 24, Heads: 4, KVHeads: 2, HeadDim: 6, FFN: 20, Vocab: 256, Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(3)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 8
	}
	pool := kernel.NewPool(2)
	sched, err := infer.NewScheduler(infer.Source{Model: m.(model.Decoder), Set: set, Pool: pool}, so)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := chat.Compile(plain, chat.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	served := &Model{ID: "tiny", Created: time.Unix(1700000000, 0), Scheduler: sched, Tokenizer: tokenizer.Bytes{}, Chat: tmpl, EOS: "</s>"}
	s := New(o)
	s.Ready(served)
	web := httptest.NewServer(s)
	t.Cleanup(func() { web.Close(); sched.Close(); pool.Close(); set.Weights.Close() })
	return web, served
}

// post sends a body and decodes the answer.
func post(t testing.TB, url, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r.StatusCode, out
}

// at follows keys and indices into a decoded answer.
func at(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			v = v.(map[string]any)[k]
		case int:
			v = v.([]any)[k]
		}
	}
	return v
}

// TestLogLikelihoodExchange is the exchange of lm-evaluation-harness for multiple
// choice: ids in, and their log-probabilities out, with one token more.
func TestLogLikelihoodExchange(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	code, a := post(t, web.URL+"/v1/completions", `{"model":"tiny","prompt":[[72,101,108,108,111],[72,101,108,108,33,33]],"temperature":0,"max_tokens":1,"logprobs":1,"seed":1234,"echo":true}`)
	if code != 200 {
		t.Fatal(code, a)
	}
	for i, n := range []int{5, 6} {
		lp := at(a, "choices", i, "logprobs")
		tokens, lps, tops := at(lp, "tokens").([]any), at(lp, "token_logprobs").([]any), at(lp, "top_logprobs").([]any)
		if len(tokens) != n+1 || len(lps) != n+1 || len(tops) != n+1 || lps[0] != nil || tops[0] != nil || at(a, "choices", i, "index") != float64(i) {
			t.Fatalf("%v: expected %d entries, the first without a log-probability", lp, n+1)
		}
		for j := 1; j <= n; j++ {
			best := math.Inf(-1)
			top := tops[j].(map[string]any)
			for _, v := range top {
				best = max(best, v.(float64))
			}
			own, ok := top[tokens[j].(string)]
			if !ok || own != lps[j] || best < own.(float64) {
				t.Errorf("entry %d: %v, own %v: the dictionary holds the token itself, with the same number", j, top, lps[j])
			}
			if j == n && best != own { // what was generated greedily is the best
				t.Errorf("the generated token has %v, the best %v", own, best)
			}
		}
		text := at(a, "choices", i, "text").(string)
		if want := []string{"Hello", "Hell!!"}[i]; !strings.HasPrefix(text, want) {
			t.Errorf("text %q, expected it to begin with %q", text, want)
		}
	}
	if at(a, "usage", "prompt_tokens") != 11.0 || at(a, "usage", "completion_tokens") != 2.0 || at(a, "usage", "total_tokens") != 13.0 {
		t.Error(at(a, "usage"))
	}
}

// TestTextOffsets: offsets count code points, as Python's len does.
func TestTextOffsets(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	_, a := post(t, web.URL+"/v1/completions", `{"prompt":"aé€b","temperature":0,"max_tokens":0,"logprobs":10,"echo":true}`)
	// A token of bytes inside a character stands behind it.
	if got := fmt.Sprint(at(a, "choices", 0, "logprobs", "text_offset")); got != "[0 1 2 2 3 3 3]" || at(a, "choices", 0, "text") != "aé€b" {
		t.Errorf("offsets %s of the bytes of aé€b: %v", got, a)
	}
	if n := len(at(a, "choices", 0, "logprobs", "top_logprobs", 3).(map[string]any)); n < 10 || n > 11 {
		t.Errorf("%d alternatives, expected 10 and the token itself", n)
	}
	if at(a, "choices", 0, "finish_reason") != "length" {
		t.Error(a)
	}
}

// TestStop: a stop text ends the text before it, whole and streamed.
func TestStop(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	_, a := post(t, web.URL+"/v1/completions", `{"prompt":"Hello","temperature":0,"max_tokens":40}`)
	text := at(a, "choices", 0, "text").(string)
	if len(text) < 20 {
		t.Fatalf("%q is too short to test with", text)
	}
	mid := []rune(text)[8:11]
	want, _, _ := strings.Cut(text, string(mid))
	stop, _ := json.Marshal(string(mid))
	body := fmt.Sprintf(`{"prompt":"Hello","temperature":0,"max_tokens":40,"stop":["never there",%s]`, stop)
	_, a = post(t, web.URL+"/v1/completions", body+"}")
	if got := at(a, "choices", 0, "text"); got != want || at(a, "choices", 0, "finish_reason") != "stop" {
		t.Errorf("%q, %v: expected %q of %q", got, at(a, "choices", 0, "finish_reason"), want, text)
	}
	var streamed strings.Builder
	events := stream(t, web.URL+"/v1/completions", body+`,"stream":true,"stream_options":{"include_usage":true}}`)
	for _, e := range events {
		for _, c := range e["choices"].([]any) {
			streamed.WriteString(at(c, "text").(string))
		}
	}
	last := events[len(events)-1]
	if streamed.String() != want || len(last["choices"].([]any)) != 0 || at(last, "usage", "completion_tokens") == 0.0 {
		t.Errorf("streamed %q, %v: expected %q, and usage at the end", streamed.String(), last, want)
	}
}

// stream reads server-sent events to the end.
func stream(t testing.TB, url, body string) (out []map[string]any) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if ct := r.Header.Get("Content-Type"); ct != "text/event-stream" {
		b, _ := bufio.NewReader(r.Body).ReadString('\n')
		t.Fatalf("%s: %s", ct, b)
	}
	sc := bufio.NewScanner(r.Body)
	sc.Buffer(nil, 1<<20)
	done := false
	for sc.Scan() {
		line, ok := strings.CutPrefix(sc.Text(), "data: ")
		switch {
		case sc.Text() == "":
		case !ok || done:
			t.Fatalf("line %q", sc.Text())
		case line == "[DONE]":
			done = true
		default:
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
	}
	if !done {
		t.Fatal("the stream has no [DONE]")
	}
	return out
}

func TestChat(t *testing.T) {
	web, m := start(t, Options{}, infer.SchedulerOptions{})
	body := `{"model":"x","messages":[{"role":"system","content":"be short"},{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"!"}]}],"max_completion_tokens":12,"temperature":0,"logprobs":true,"top_logprobs":3`
	code, a := post(t, web.URL+"/v1/chat/completions", body+"}")
	if code != 200 {
		t.Fatal(a)
	}
	text := at(a, "choices", 0, "message", "content").(string)
	content := at(a, "choices", 0, "logprobs", "content").([]any)
	if at(a, "object") != "chat.completion" || at(a, "choices", 0, "message", "role") != "assistant" || len(content) != 12 || len(at(content, 0, "top_logprobs").([]any)) != 3 {
		t.Errorf("%v", a)
	}
	_, same := post(t, web.URL+"/v1/completions", `{"prompt":"system: be short\nuser: Hi!\nassistant:","max_tokens":12,"temperature":0}`)
	if at(same, "choices", 0, "text") != text {
		t.Errorf("the chat said %q, the rendered text %q", text, at(same, "choices", 0, "text"))
	}
	events := stream(t, web.URL+"/v1/chat/completions", body+`,"stream":true}`)
	var streamed strings.Builder
	pieces := 0
	for i, e := range events {
		delta := at(e, "choices", 0, "delta").(map[string]any)
		if role, ok := delta["role"]; (i == 0) != ok || ok && role != "assistant" {
			t.Errorf("event %d: %v", i, delta)
		}
		if s, ok := delta["content"].(string); ok {
			streamed.WriteString(s)
		}
		if l, ok := at(e, "choices", 0, "logprobs").(map[string]any); ok {
			pieces += len(l["content"].([]any))
		}
		if reason := at(e, "choices", 0, "finish_reason"); (i == len(events)-1) != (reason != nil) {
			t.Errorf("event %d ends with %v", i, reason)
		}
	}
	if streamed.String() != text || pieces != 12 {
		t.Errorf("streamed %q with %d log-probabilities, expected %q with 12", streamed.String(), pieces, text)
	}
	if code, a = post(t, web.URL+"/v1/chat/completions", `{"messages":[{"role":"tool","content":"x"}]}`); code != 400 {
		t.Error(code, a)
	}
	m.Chat = nil
	if code, a = post(t, web.URL+"/v1/chat/completions", body+"}"); code != 400 || !strings.Contains(at(a, "error", "message").(string), "no chat template") {
		t.Error(code, a)
	}
}

// TestErrors: what is not served is refused by name; nothing is ignored.
func TestErrors(t *testing.T) {
	web, _ := start(t, Options{MaxBody: 4096}, infer.SchedulerOptions{})
	for _, c := range []struct {
		path, body string
		code       int
		param      string
	}{
		{"/v1/completions", `{`, 400, ""},
		{"/v1/completions", `{}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":{}}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":[]}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":""}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":[1,"a"]}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":[256]}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":[-1]}`, 400, "prompt"},
		{"/v1/completions", `{"prompt":"a","max_tokens":0}`, 400, "max_tokens"},
		{"/v1/completions", `{"prompt":"a","max_tokens":-1}`, 400, "max_tokens"},
		{"/v1/completions", `{"prompt":"a","max_tokens":"5"}`, 400, "max_tokens"},
		{"/v1/completions", `{"prompt":"a","max_tokens":256}`, 400, ""},
		{"/v1/completions", `{"prompt":"a","logprobs":21}`, 400, "logprobs"},
		{"/v1/completions", `{"prompt":"a","temperature":-0.1}`, 400, "temperature"},
		{"/v1/completions", `{"prompt":"a","top_p":0}`, 400, "top_p"},
		{"/v1/completions", `{"prompt":"a","n":0}`, 400, "n"},
		{"/v1/completions", `{"prompt":"a","n":5000}`, 400, "n"},
		{"/v1/completions", `{"prompt":"a","stop":[""]}`, 400, "stop"},
		{"/v1/completions", `{"prompt":"a","stop":5}`, 400, "stop"},
		{"/v1/completions", `{"prompt":"a","frequency_penalty":0.5}`, 400, "frequency_penalty"},
		{"/v1/completions", `{"prompt":"a","grammar":"root"}`, 400, "grammar"},
		{"/v1/completions", `{"prompt":"a","stream_options":{"include_usage":true}}`, 400, "stream_options"},
		{"/v1/completions", `{"prompt":"` + strings.Repeat("a", 5000) + `"}`, 413, ""},
		{"/v1/chat/completions", `{"messages":[]}`, 400, "messages"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, 400, "messages"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"top_logprobs":3}`, 400, "top_logprobs"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}}`, 400, "response_format"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 300) + `"}]}`, 400, ""},
		{"/detokenize", `{"tokens":[300]}`, 400, "tokens"},
		{"/v1/nothing", `{}`, 404, ""},
		{"/v1/models", `{}`, 405, ""},
	} {
		code, a := post(t, web.URL+c.path, c.body)
		e, ok := a["error"].(map[string]any)
		if !ok || code != c.code || (c.param != "" && e["param"] != c.param) || e["message"] == "" {
			t.Errorf("%s %.80s: %d %v, expected %d for %q", c.path, c.body, code, a, c.code, c.param)
		}
	}
	for _, ok := range []string{
		`{"prompt":"a","max_tokens":1,"frequency_penalty":0.0,"logit_bias":{},"user":"me","best_of":1,"stop":null,"suffix":null,"n":2}`,
		`{"prompt":"a","max_tokens":1,"response_format":{"type":"text"}}`,
	} {
		if code, a := post(t, web.URL+"/v1/completions", ok); code != 200 {
			t.Errorf("%s: %v", ok, a)
		}
	}
}

func TestKeyAndCalls(t *testing.T) {
	var lines []Access
	s := New(Options{APIKey: "secret", AccessLog: func(a Access) { lines = append(lines, a) }})
	do := func(method, path, key string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, bytes.NewReader(nil))
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		s.ServeHTTP(w, r)
		return w
	}
	if w := do("GET", "/health", ""); w.Code != 503 {
		t.Error("loading:", w.Code)
	}
	_, m := start(t, Options{}, infer.SchedulerOptions{})
	s.Ready(m)
	for _, c := range []struct {
		path, key string
		code      int
		want      string
	}{
		{"/health", "", 200, `"ok"`}, {"/v1/models", "", 401, "API key"}, {"/v1/models", "wrong", 401, "API key"},
		{"/v1/models", "secret", 200, `"max_model_len":256`}, {"/v1/models/tiny", "secret", 200, `"id":"tiny"`}, {"/v1/models/other", "secret", 404, "no model"},
		{"/tokenizer_info", "secret", 200, `"eos_token":"\u003c/s\u003e"`}, {"/metrics", "", 200, "ecospa_kv_pages "}, {"/", "", 200, "<title>ecospa</title>"},
	} {
		if w := do("GET", c.path, c.key); w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s with key %q: %d %.200s, expected %d and %q", c.path, c.key, w.Code, w.Body, c.code, c.want)
		}
	}
	if len(lines) != 10 || lines[1].Path != "/health" || lines[2].Status != 401 {
		t.Errorf("access log: %+v", lines)
	}
}

func TestTokenizeCalls(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	_, a := post(t, web.URL+"/tokenize", `{"prompt":"Hi","add_special_tokens":false}`)
	if fmt.Sprint(a["tokens"]) != "[72 105]" || a["count"] != 2.0 || a["max_model_len"] != 256.0 {
		t.Error(a)
	}
	if _, a = post(t, web.URL+"/detokenize", `{"tokens":[72,105]}`); a["prompt"] != "Hi" {
		t.Error(a)
	}
}
