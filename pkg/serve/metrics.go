package serve

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// metrics are counted here and shown in Prometheus' text format.
type metrics struct {
	inFlight atomic.Int64
	mu       sync.Mutex
	requests map[requestKind]*histogram
	prompt   int64
	made     int64
	perToken histogram // seconds a generated token, by request
}

type requestKind struct {
	call string
	code int
}

// bounds are the upper ends of the buckets, in seconds.
var bounds = []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

type histogram struct {
	buckets [12]int64 // len(bounds), and above
	sum     float64
	count   int64
}

func (h *histogram) add(seconds float64) {
	i, _ := slices.BinarySearch(bounds, seconds)
	h.buckets[i]++
	h.sum += seconds
	h.count++
}

func (m *metrics) request(pattern string, code int, took time.Duration) {
	if pattern == "" {
		pattern = "none"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.requests == nil {
		m.requests = map[requestKind]*histogram{}
	}
	k := requestKind{pattern, code}
	if m.requests[k] == nil {
		m.requests[k] = &histogram{}
	}
	m.requests[k].add(took.Seconds())
}

// tokens counts a request's tokens and its seconds a generated one.
func (m *metrics) tokens(prompt, made int, start time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prompt += int64(prompt)
	m.made += int64(made)
	if made > 0 {
		m.perToken.add(time.Since(start).Seconds() / float64(made))
	}
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.metrics.write(w)
	m := s.model.Load()
	if m == nil || m.Scheduler == nil {
		return
	}
	st := m.Scheduler.Stats()
	for _, g := range []struct {
		name, kind, help string
		value            int64
	}{
		{"ecospa_requests_running", "gauge", "Requests being answered by the model.", int64(st.Running)},
		{"ecospa_requests_waiting", "gauge", "Requests in the queue.", int64(st.Waiting)},
		{"ecospa_steps_total", "counter", "Steps of the model.", st.Steps},
		{"ecospa_prompt_tokens_reused_total", "counter", "Prompt tokens whose keys and values were kept from earlier requests.", st.ReusedTokens},
		{"ecospa_kv_pages", "gauge", "Pages for keys and values.", int64(st.Pages)},
		{"ecospa_kv_pages_free", "gauge", "Pages that no running request uses.", int64(st.FreePages)},
		{"ecospa_kv_page_bytes", "gauge", "Bytes of one page.", st.PageBytes},
		{"go_goroutines", "gauge", "Goroutines of the program.", int64(runtime.NumGoroutine())},
	} {
		head(w, g.name, g.kind, g.help)
		fmt.Fprintf(w, "%s %d\n", g.name, g.value)
	}
}

func head(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	head(w, "ecospa_http_requests_in_flight", "gauge", "Requests that have no complete answer yet.")
	fmt.Fprintf(w, "ecospa_http_requests_in_flight %d\n", m.inFlight.Load())
	head(w, "ecospa_prompt_tokens_total", "counter", "Tokens of prompts.")
	fmt.Fprintf(w, "ecospa_prompt_tokens_total %d\n", m.prompt)
	head(w, "ecospa_generated_tokens_total", "counter", "Tokens generated.")
	fmt.Fprintf(w, "ecospa_generated_tokens_total %d\n", m.made)
	head(w, "ecospa_seconds_per_token", "histogram", "Seconds a generated token, waiting included, by request.")
	m.perToken.write(w, "ecospa_seconds_per_token", "")
	if len(m.requests) == 0 {
		return
	}
	head(w, "ecospa_http_request_seconds", "histogram", "Time to the complete answer.")
	keys := make([]requestKind, 0, len(m.requests))
	for k := range m.requests {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b requestKind) int { return compareKinds(a, b) })
	for _, k := range keys {
		m.requests[k].write(w, "ecospa_http_request_seconds", fmt.Sprintf("call=%q,code=\"%d\",", k.call, k.code))
	}
}

func compareKinds(a, b requestKind) int {
	switch {
	case a.call < b.call, a.call == b.call && a.code < b.code:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// write prints a histogram with its labels ("name=\"value\"," each).
func (h *histogram) write(w io.Writer, name, labels string) {
	n := int64(0)
	for i, b := range bounds {
		n += h.buckets[i]
		fmt.Fprintf(w, "%s_bucket{%sle=\"%g\"} %d\n", name, labels, b, n)
	}
	fmt.Fprintf(w, "%s_bucket{%sle=\"+Inf\"} %d\n", name, labels, h.count)
	if labels != "" {
		labels = "{" + labels[:len(labels)-1] + "}"
	}
	fmt.Fprintf(w, "%s_sum%s %g\n%s_count%s %d\n", name, labels, h.sum, name, labels, h.count)
}
