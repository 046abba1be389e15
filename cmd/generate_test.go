package cmd

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/serve"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// --dtype bf16 writes what a copy of the weights in bfloat16 does.
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
	how := infer.GenerateOptions{Prompt: l.Tokenizer.Encode(nil, []byte("One day")), Tokens: 20, Sampler: infer.SamplerConfig{TopP: 1}, Ends: l.Ends, Never: l.Unused(), BF16: true}
	want, stream := "One day", tokenizer.NewStream(l.Tokenizer)
	_, err = infer.Generate(t.Context(), l.Model, l.Set, how, func(id int32) error {
		text, err := stream.Next(id)
		want += text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want += stream.Flush()
	if got != want+"\n" || len(want) <= len("One day") {
		t.Errorf("got %q, expected %q", got, want)
	}
	// --json is the same text as one object.
	object, _ := mustRun(t, append(args, "bf16", "--json")...)
	var r serve.Continued
	if err := json.Unmarshal([]byte(object), &r); err != nil || strings.Count(object, "\n}\n") != 1 {
		t.Fatalf("%v: %s", err, object)
	}
	finish := map[bool]string{true: "length", false: "end"}[r.Tokens == 20]
	if r.Prompt+r.Text != want || r.Prompt != "One day" || r.Model != dir || r.Tokens < 1 || r.PromptTokens < 1 || r.Finish != finish || r.Seconds <= 0 || r.TokensPerS <= 0 {
		t.Errorf("%+v, expected the text %q", r, want)
	}
	if code, _, log := runCommand(t, t.Context(), append(args, "fp8")...); code != exitUsage || !strings.Contains(log, "--dtype") || strings.Count(log, "\n") != 1 {
		t.Errorf("--dtype fp8: exit code %d, %q", code, log)
	}
}
