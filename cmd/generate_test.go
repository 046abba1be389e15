package cmd

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/serve"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// --dtype bf16 decodes as a session of bfloat16 weights does.
func TestGenerateBF16(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, small(dir, "train.steps=3", "train.sample=0", "prune.target=")...)
	args := []string{"ecospa", "generate", "--model", dir, "--prompt", "One day", "--tokens", "20", "--temperature", "0", "--dtype"}
	got, _ := mustRun(t, append(args, "BF16")...)

	l, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pool := kernel.NewPool(0)
	defer pool.Close()
	s, err := infer.NewSession(l.Model, l.Set, pool, infer.SessionOptions{Batch: 1, Capacity: 32, BF16: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want, stream := "One day", tokenizer.NewStream(l.Tokenizer)
	feed := l.Tokenizer.Encode(nil, []byte("One day"))
	for range 20 {
		logits, err := s.Feed(feed)
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for i, x := range logits {
			if x > logits[best] {
				best = i
			}
		}
		if int32(best) == l.Tokenizer.EOS() {
			break
		}
		text, err := stream.Next(int32(best))
		if err != nil {
			t.Fatal(err)
		}
		want, feed = want+text, []int32{int32(best)}
	}
	want += stream.Flush()
	if got != want+"\n" || len(want) <= len("One day") {
		t.Errorf("got %q, expected %q", got, want)
	}
	// --json is the same text as one object.
	text, _ := mustRun(t, append(args, "bf16", "--json")...)
	var r serve.Continued
	if err := json.Unmarshal([]byte(text), &r); err != nil || strings.Count(text, "\n}\n") != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	finish := map[bool]string{true: "length", false: "end"}[r.Tokens == 20]
	if r.Prompt+r.Text != want || r.Prompt != "One day" || r.Model != dir || r.Tokens < 1 || r.PromptTokens < 1 || r.Finish != finish || r.Seconds <= 0 || r.TokensPerS <= 0 {
		t.Errorf("%+v, expected the text %q", r, want)
	}
	if code, _, log := runCommand(t, t.Context(), append(args, "fp8")...); code != exitUsage || !strings.Contains(log, "--dtype") || strings.Count(log, "\n") != 1 {
		t.Errorf("--dtype fp8: exit code %d, %q", code, log)
	}
}
