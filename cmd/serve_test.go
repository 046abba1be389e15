package cmd

import (
	"encoding/json"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/serve"
)

// TestServedLikelihoods: log-likelihoods over HTTP, of a pruned model in float32 and in Q8_0,
// are those of eval to 1e-5 of them, asked for one after the other and all at once.
func TestServedLikelihoods(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir, "train.steps=12", "train.sample=0", "train.context=64")...)
	t.Run("f32", func(t *testing.T) { servedLikelihoods(t, dir, param.F32) })
	t.Run("q8_0", func(t *testing.T) { servedLikelihoods(t, dir, param.Q8) })
	_, _, err := serve.Load(dir, serve.LoadOptions{SchedulerOptions: infer.SchedulerOptions{Int8: true}})
	if err == nil || !strings.Contains(err.Error(), "--weights q8_0") {
		t.Errorf("integers without weights of Q8_0: %v", err)
	}
}

func servedLikelihoods(t *testing.T, dir string, weights param.DType) {
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var prompts [][]int32
	var want []float64
	for _, text := range []string{"Anna was a small fox who lived by the river.", "Once there was a bear.", "Anna was a small fox who had no friend at all."} {
		path := filepath.Join(t.TempDir(), "doc.txt")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := mustRun(t, "ecospa", "eval", "--model", dir, "--data", path, "--weights", string(weights), "--json")
		var r struct {
			Loss   float64
			Tokens int
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		part, err := data.Read(path, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := data.Encode(b.Tokenizer, part)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := data.IDs(all, 0, all.Len())
		if err != nil || r.Tokens != len(ids)-1 {
			t.Fatalf("%v: eval predicts %d tokens of %d", err, r.Tokens, len(ids))
		}
		prompts, want = append(prompts, ids), append(want, -r.Loss*float64(r.Tokens))
	}
	m, closeModel, err := serve.Load(dir, serve.LoadOptions{Weights: weights})
	if err != nil {
		t.Fatal(err)
	}
	defer closeModel()
	s := serve.New(serve.Options{})
	s.Ready(m)
	ask := func(of [][]int32) (sums []float64) {
		body, err := json.Marshal(map[string]any{"prompt": of, "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("POST", "/v1/completions", strings.NewReader(string(body))))
		var a struct {
			Choices []struct {
				Logprobs struct {
					Values []*float64 `json:"token_logprobs"`
				}
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || len(a.Choices) != len(of) {
			t.Fatalf("%d %v: %s", w.Code, err, w.Body)
		}
		for i, c := range a.Choices {
			sum := 0.0
			for _, v := range c.Logprobs.Values[1:len(of[i])] {
				sum += *v
			}
			sums = append(sums, sum)
		}
		return sums
	}
	check := func(got, want []float64) {
		t.Helper()
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-5*math.Abs(want[i])) || want[i] >= 0 {
				t.Errorf("text %d: %.9g nats over HTTP, %.9g by eval", i, got[i], want[i])
			}
		}
	}
	for i, p := range prompts {
		check(ask([][]int32{p}), want[i:i+1])
	}
	check(ask(prompts), want)
}
