package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/infer"
)

// settled waits until the scheduler holds nothing and no goroutine is left over.
func settled(t *testing.T, m *Model, before int) {
	t.Helper()
	for range 200 {
		http.DefaultClient.CloseIdleConnections()
		st := m.Scheduler.Stats()
		if st.Running == 0 && st.Waiting == 0 && st.FreePages == st.Pages && runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%+v and %d goroutines are left, %d before", m.Scheduler.Stats(), runtime.NumGoroutine(), before)
}

// TestClientsThatLeave: streams that clients cut off give everything back.
func TestClientsThatLeave(t *testing.T) {
	web, m := start(t, Options{}, infer.SchedulerOptions{MaxBatch: 4})
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i%12)*time.Millisecond)
			defer cancel()
			body := fmt.Sprintf(`{"prompt":"Hello %d","max_tokens":200,"stream":%t,"temperature":0}`, i, i%2 == 0)
			r, err := http.NewRequestWithContext(ctx, "POST", web.URL+"/v1/completions", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			if a, err := http.DefaultClient.Do(r); err == nil {
				io.Copy(io.Discard, a.Body)
				a.Body.Close()
			}
		}()
	}
	wg.Wait()
	settled(t, m, before)
}

// TestQueue: what does not fit the queue is told to come again, and nothing is lost.
func TestQueue(t *testing.T) {
	web, m := start(t, Options{}, infer.SchedulerOptions{MaxBatch: 1, Queue: 2})
	before := runtime.NumGoroutine()
	codes := make(chan int, 40)
	for range 40 {
		go func() {
			r, err := http.Post(web.URL+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"a","max_tokens":100}`))
			if err != nil {
				codes <- 0
				return
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
				r.StatusCode = -429
			}
			codes <- r.StatusCode
		}()
	}
	seen := map[int]int{}
	for range 40 {
		seen[<-codes]++
	}
	if seen[200] < 3 || seen[429] == 0 || seen[200]+seen[429] != 40 {
		t.Errorf("status codes %v, expected 200 and 429 with Retry-After", seen)
	}
	settled(t, m, before)
}

// TestSlowAndHalfOpen: clients that send nothing, half a request, or do not read.
func TestSlowAndHalfOpen(t *testing.T) {
	web, m := start(t, Options{}, infer.SchedulerOptions{})
	before := runtime.NumGoroutine()
	addr := strings.TrimPrefix(web.URL, "http://")
	var open []net.Conn
	for i := range 60 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		switch i % 3 {
		case 1:
			fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"prompt\":")
		case 2:
			body := `{"prompt":"a","max_tokens":200,"stream":true}`
			fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	if code, a := post(t, web.URL+"/v1/completions", `{"prompt":"b","max_tokens":3}`); code != 200 {
		t.Errorf("beside clients that do not move: %d %v", code, a)
	}
	for _, c := range open {
		c.Close()
	}
	settled(t, m, before)
}

// TestManyBodies: requests that are held while they come in are bounded together.
func TestManyBodies(t *testing.T) {
	web, _ := start(t, Options{MaxBody: 1 << 10, MaxBodies: 8 << 10}, infer.SchedulerOptions{})
	var pipes []*io.PipeWriter
	code := 0
	for i := range 200 { // a request that comes beside one of ours may be refused instead of it
		from, to := io.Pipe()
		pipes = append(pipes, to)
		go func() {
			if r, err := http.Post(web.URL+"/tokenize", "application/json", from); err == nil {
				r.Body.Close()
			}
		}()
		go to.Write([]byte(`{"prompt":"` + strings.Repeat("x", 1000)))
		if i < 8 {
			continue
		}
		if code, _ = post(t, web.URL+"/tokenize", `{"prompt":"`+strings.Repeat("y", 900)+`"}`); code == 429 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if code != 429 {
		t.Errorf("beside 8 KiB of requests that do not end: status %d, expected 429", code)
	}
	for _, p := range pipes {
		p.CloseWithError(io.ErrClosedPipe)
	}
	for range 200 {
		if code, _ = post(t, web.URL+"/tokenize", `{"prompt":"y"}`); code == 200 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("after they ended: status %d, expected 200", code)
}

// TestManyConnections: some hundred clients at once are all answered and leave nothing.
func TestManyConnections(t *testing.T) {
	web, m := start(t, Options{}, infer.SchedulerOptions{})
	before := runtime.NumGoroutine()
	n := 300 // scripts/soak_serve.sh -c 1000 takes them all
	seen := make(chan int, n)
	for i := range n {
		go func() {
			r, err := http.Post(web.URL+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"prompt":"Hello %d","max_tokens":2}`, i%7)))
			if err != nil {
				seen <- 0
				return
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			seen <- r.StatusCode
		}()
	}
	for range n {
		if code := <-seen; code != 200 {
			t.Errorf("status %d, expected 200", code)
		}
	}
	settled(t, m, before)
}

// TestEveryLength: prompts of every length around the context, as ids and as text.
func TestEveryLength(t *testing.T) {
	web, _ := start(t, Options{}, infer.SchedulerOptions{})
	for n := 250; n <= 258; n++ {
		for _, new := range []int{0, 1, 5} {
			body := fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"echo":true,"logprobs":0}`, strings.Repeat("x", n), new)
			want := 200
			if n+new > 256 {
				want = 400
			}
			code, a := post(t, web.URL+"/v1/completions", body)
			if code != want {
				t.Fatalf("%d tokens and %d new ones: %d %v, expected %d", n, new, code, a, want)
			}
			if code == 200 && len(at(a, "choices", 0, "logprobs", "tokens").([]any)) != n+new {
				t.Errorf("%d tokens and %d new ones: %d entries", n, new, len(at(a, "choices", 0, "logprobs", "tokens").([]any)))
			}
		}
	}
}

// TestDrain: a server that is told to stop finishes what is under way.
func TestDrain(t *testing.T) {
	_, m := start(t, Options{}, infer.SchedulerOptions{})
	s := New(Options{})
	s.Ready(m)
	ctx, stop := context.WithCancel(context.Background())
	url, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- s.Run(ctx, Listen{Listening: func(u string) { url <- u }}) }()
	base := <-url
	r, err := http.Post(base+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"a","max_tokens":150,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(r.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stop()
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the answer under way ended with %q, %v", rest[max(0, len(rest)-40):], err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzRequest sends any body to every call: an answer in the API's form, no panic.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"prompt":"a","max_tokens":2,"logprobs":1,"echo":true}`, `{"prompt":[[1,2],[3]],"max_tokens":1}`, `{"messages":[{"role":"user","content":"a"}],"max_tokens":2}`,
		`{"tokens":[1]}`, `{"prompt":"\ud800","stop":["a"],"n":2,"max_tokens":1,"stream":true}`, `{"prompt":[1e99]}`, `{"prompt":null}`, `[]`,
	} {
		f.Add(s)
	}
	_, m := start(f, Options{}, infer.SchedulerOptions{})
	s := New(Options{MaxTokens: 4})
	s.Ready(m)
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize"} {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)).WithContext(ctx))
			cancel()
			if w.Code == 500 || w.Code != 200 && !strings.Contains(w.Body.String(), `"error"`) {
				t.Fatalf("%s %q: %d %s", path, body, w.Code, w.Body)
			}
		}
	})
}
