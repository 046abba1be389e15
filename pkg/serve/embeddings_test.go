package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/infer"
)

const minilm = "../../testdata/minilm"

func startEncoder(t *testing.T, queue int) (*httptest.Server, *Model) {
	t.Helper()
	m, closeModel, err := Load(minilm, LoadOptions{Threads: 1, SchedulerOptions: infer.SchedulerOptions{Queue: queue}})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{})
	s.Ready(m)
	web := httptest.NewServer(s)
	t.Cleanup(func() { web.Close(); closeModel() })
	return web, m
}

// TestEmbeddings: the vectors are PyTorch's (scripts/golden_bert.py), as numbers and as
// bytes, for text and for ids, many at a time.
func TestEmbeddings(t *testing.T) {
	web, _ := startEncoder(t, 64)
	root, err := os.OpenRoot(minilm)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	golden, err := checkpoint.ReadTensors(root, "vectors.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	want := golden["mean.normalized"]
	const first, second, last = "The cat sat on the mat .", "dogs", "A zebra runs ."
	check := func(body string, rows ...int) {
		t.Helper()
		status, out := post(t, web.URL+"/v1/embeddings", body)
		if status != 200 || at(out, "object") != "list" || at(out, "model") != "minilm" || len(at(out, "data").([]any)) != len(rows) {
			t.Fatalf("%s: %d, %v", body, status, out)
		}
		for i, row := range rows {
			got := []float32{}
			switch v := at(out, "data", i, "embedding").(type) {
			case string:
				raw, err := base64.StdEncoding.DecodeString(v)
				if err != nil {
					t.Fatal(err)
				}
				for ; len(raw) > 0; raw = raw[4:] {
					got = append(got, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
				}
			case []any:
				for _, x := range v {
					got = append(got, float32(x.(float64)))
				}
			}
			if len(got) != 18 || at(out, "data", i, "index") != float64(i) || at(out, "data", i, "object") != "embedding" {
				t.Fatalf("%s: row %d is %v", body, i, at(out, "data", i))
			}
			for c := range got {
				if math.Abs(float64(got[c]-want[18*row+c])) > 1e-5 {
					t.Fatalf("%s: number %d of text %d is %g, PyTorch's %g", body, c, i, got[c], want[18*row+c])
				}
			}
		}
		usage := at(out, "usage").(map[string]any)
		if usage["prompt_tokens"] != usage["total_tokens"] || usage["prompt_tokens"].(float64) < 3 {
			t.Errorf("usage is %v", usage)
		}
	}
	check(fmt.Sprintf(`{"model": "minilm", "input": %q}`, first), 0)
	check(fmt.Sprintf(`{"model": "minilm", "input": [%q, %q, %q], "encoding_format": "base64", "user": "x"}`, second, last, first), 1, 3, 0)
	check(`{"input": [2, 7, 13, 3]}`, 1)
	check(`{"input": [[2, 7, 13, 3]], "dimensions": 18, "encoding_format": "float"}`, 1)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { check(fmt.Sprintf(`{"input": [%q, %q]}`, last, second), 3, 1) })
	}
	wait.Wait()

	long := `"` + strings.Repeat("a ", 20) + `"`
	for body, want := range map[string]string{
		`{}`:                              "input is missing",
		`{"input": []}`:                   "input is neither",
		`{"input": {"a": 1}}`:             "input is neither",
		`{"input": ` + long + `}`:         "text 0 of input has 22 tokens, expected 1 to 12",
		`{"input": [[]]}`:                 "text 0 of input has 0 tokens",
		`{"input": [[24]]}`:               "has the id 24, expected 0 to 23",
		`{"input": [[-1]]}`:               "has the id -1",
		`{"input": "a", "dimensions": 5}`: "dimensions is 5, the model's vectors have 18",
		`{"input": "a", "encoding_format": "int8"}`:     "encoding_format is \"int8\"",
		`{"input": "a", "truncate_prompt_tokens": 128}`: "truncate_prompt_tokens is not a known field",
	} {
		if status, out := post(t, web.URL+"/v1/embeddings", body); status != 400 || !strings.Contains(at(out, "error", "message").(string), want) {
			t.Errorf("%s: %d, %v, expected %q", body, status, out, want)
		}
	}
}

// TestEncoderIsServed: what an encoder has no answer to is refused, and the rest is its own.
func TestEncoderIsServed(t *testing.T) {
	web, m := startEncoder(t, 1)
	for path, body := range map[string]string{"/v1/completions": `{"prompt": "a"}`, "/v1/chat/completions": `{"messages": [{"role": "user", "content": "a"}]}`} {
		if status, out := post(t, web.URL+path, body); status != 400 || !strings.Contains(at(out, "error", "message").(string), "it answers /v1/embeddings") {
			t.Errorf("%s: %d, %v", path, status, out)
		}
	}
	if status, out := post(t, web.URL+"/tokenize", `{"prompt": "a cat"}`); status != 200 || at(out, "count") != 4.0 || at(out, "max_model_len") != 12.0 {
		t.Errorf("tokenize: %d, %v", status, out)
	}
	for _, path := range []string{"/v1/models", "/metrics", "/health"} {
		r, err := web.Client().Get(web.URL + path)
		if err != nil || r.StatusCode != 200 {
			t.Errorf("%s: %v (%v)", path, r, err)
		} else {
			r.Body.Close()
		}
	}
	m.Embedder.waiting <- struct{}{} // somebody has the only place
	if status, out := post(t, web.URL+"/v1/embeddings", `{"input": "a"}`); status != 429 {
		t.Errorf("a full queue: %d, %v", status, out)
	}
	<-m.Embedder.waiting
	m.Embedder.turn <- struct{}{}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := m.Embedder.vectors(gone, [][]int32{{2}}); err == nil {
		t.Error("a client that left was served")
	}
	<-m.Embedder.turn
	if s := m.String(); s != "minilm, vectors of texts of up to 12 tokens" {
		t.Errorf("the model says %q", s)
	}
	other, _ := start(t, Options{}, infer.SchedulerOptions{})
	if status, out := post(t, other.URL+"/v1/embeddings", `{"input": "a"}`); status != 400 || !strings.Contains(at(out, "error", "message").(string), "made by encoders") {
		t.Errorf("a model that writes: %d, %v", status, out)
	}
}
