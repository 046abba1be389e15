package cmd

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
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
	if code, _, log := runCommand(t, t.Context(), append(args, "fp8")...); code != exitUsage || !strings.Contains(log, "--dtype") || strings.Count(log, "\n") != 1 {
		t.Errorf("--dtype fp8: exit code %d, %q", code, log)
	}
}
