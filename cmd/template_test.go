package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/workload"
)

// A tokenizer whose post_processor puts the beginning of a text in front is heeded
// by eval, generate and export; one without it, as GPT-2's, has nothing put there. The
// reference is the token written in the text itself.
func TestTemplates(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("run"), "train.steps=3", "train.sample=0", "prune.target=")...)
	plain, llama, off := at("plain"), at("llama"), at("off")
	for _, dir := range []string{plain, llama, off} {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(at("run"), "state", "newest"))); err != nil {
			t.Fatal(err)
		}
	}
	put := func(path, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := filepath.Join(plain, "tokenizer.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	bos := tokenizer.EndOfText
	spec["post_processor"] = object{
		"type":           "TemplateProcessing",
		"single":         []any{object{"SpecialToken": object{"id": bos, "type_id": 0}}, object{"Sequence": object{"id": "A", "type_id": 0}}},
		"pair":           []any{},
		"special_tokens": object{bos: object{"id": bos, "ids": []int32{tok.EOS()}, "tokens": []string{bos}}},
	}
	if text, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	put(filepath.Join(llama, "tokenizer.json"), string(text))
	put(filepath.Join(off, "tokenizer.json"), string(text))
	put(filepath.Join(off, "tokenizer_config.json"), `{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":false}`)

	story := strings.Repeat("Anna was a small fox. ", 20)
	without, with := put(at("without.txt"), story), put(at("with.txt"), bos+story)
	eval := func(dir, data string) workload.TextResult {
		t.Helper()
		out, _ := mustRun(t, "ecospa", "eval", "--model", dir, "--data", data, "--context", "32", "--json")
		var r workload.TextResult
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	want, bare := eval(plain, with), eval(plain, without)
	if got := eval(llama, without); got.Loss != want.Loss || got.Tokens != want.Tokens || got.Tokens != bare.Tokens+1 {
		t.Errorf("with a template: loss %v of %d tokens, expected %v of %d; %d without", got.Loss, got.Tokens, want.Loss, want.Tokens, bare.Tokens)
	}
	if got := eval(off, without); got.Loss != bare.Loss || got.Tokens != bare.Tokens {
		t.Errorf("add_bos_token false: loss %v of %d tokens, expected %v of %d", got.Loss, got.Tokens, bare.Loss, bare.Tokens)
	}

	continued := func(dir, prompt string) string {
		t.Helper()
		out, _ := mustRun(t, "ecospa", "generate", "--model", dir, "--prompt", prompt, "--tokens", "12", "--temperature", "0")
		return strings.TrimPrefix(out, prompt)
	}
	if a, b := continued(llama, "One day"), continued(plain, bos+"One day"); a != b {
		t.Errorf("with a template %q, expected %q", a, b)
	}
	if a, b := continued(off, "One day"), continued(plain, "One day"); a != b {
		t.Errorf("add_bos_token false %q, expected %q", a, b)
	}
	if a, b := continued(llama, ""), continued(plain, bos); a != b {
		t.Errorf("empty prompt %q, expected %q", a, b)
	}

	templated, err := tokenizer.Open(llama)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := workload.Continuation(templated, "One day", " Anna"), workload.Continuation(tok, bos+"One day", " Anna"); !reflect.DeepEqual(a, b) {
		t.Errorf("a choice is %v, expected %v", a, b)
	}

	for dir, expected := range map[string]bool{plain: false, llama: true, off: false} {
		mustRun(t, "ecospa", "export", "--model", dir, "--format", "gguf", "--out", dir+".gguf")
		b, err := os.ReadFile(dir + ".gguf")
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Keys["tokenizer.ggml.add_bos_token"]; got != expected {
			t.Errorf("%s: add_bos_token is %v, expected %v", dir, got, expected)
		}
		mustRun(t, "ecospa", "export", "--model", dir, "--format", "hf", "--out", dir+"-hf")
		if a, b := eval(dir+"-hf", without), eval(dir, without); a.Tokens != b.Tokens || a.Loss != b.Loss {
			t.Errorf("%s: exported loss %v of %d tokens, expected %v of %d", dir, a.Loss, a.Tokens, b.Loss, b.Tokens)
		}
	}
}
