package tokenizer

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// transformers' class for LLaMA makes the template of two fields of
// tokenizer_config.json; other classes do what tokenizer.json says.
func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		front, back    []int32
		bad            string
	}{
		{"none", "", []int32{1}, nil, ""},
		{"another class", `{"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false}`, []int32{1}, nil, ""},
		{"gpt2", `{"tokenizer_class":"GPT2Tokenizer","add_bos_token":false}`, []int32{1}, nil, ""},
		{"says nothing", `{"tokenizer_class":"LlamaTokenizer","model_max_length":1e30}`, []int32{1}, nil, ""},
		{"says the same", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"bos_token":"<s>"}`, []int32{1}, nil, ""},
		{"off", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":false}`, nil, nil, ""},
		{"both", `{"tokenizer_class":"LlamaTokenizerFast","add_eos_token":true,"eos_token":{"content":"ab","lstrip":false}}`, []int32{1}, []int32{6}, ""},
		{"only behind", `{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":false,"add_eos_token":true,"eos_token":"<s>"}`, nil, []int32{1}, ""},
		{"no such token", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"bos_token":"<bos>"}`, nil, nil, `bos_token is "<bos>"`},
		{"a number", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"bos_token":7}`, nil, nil, "bos_token is 7"},
		{"no object", `[]`, nil, nil, "tokenizer_config.json"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), spPieces(2, "<unk>", "<s>", "▁", "a", "b", "▁a", "ab"), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.settings != "" {
			if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(c.settings), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := Open(dir)
		if c.bad != "" {
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, expected ErrFormat about %s", c.name, err, c.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		// What is kept for later is the file with its template.
		text, err := tok.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range []Tokenizer{tok, again} {
			front, back := tok.Template()
			if !reflect.DeepEqual(front, c.front) || !reflect.DeepEqual(back, c.back) {
				t.Errorf("%s: template %v, %v; expected %v, %v", c.name, front, back, c.front, c.back)
			}
			if ids := tok.Encode(nil, []byte("a ab")); !reflect.DeepEqual(ids, []int32{5, 5, 4}) {
				t.Errorf("%s: ids %v", c.name, ids)
			}
		}
	}
}

// FuzzSettings reads any bytes as tokenizer_config.json: an error on one line, or a
// tokenizer that encodes as before.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"add_eos_token":true,"eos_token":{"content":"ab"}}`))
	f.Add([]byte(`{"tokenizer_class":"CodeLlamaTokenizerFast","add_eos_token":true,"bos_token":"<s>","eos_token":null}`))
	f.Add([]byte(`{"added_tokens_decoder":{"7":{"content":"<x>","special":true}}}`))
	f.Fuzz(func(t *testing.T, settings []byte) {
		dir := fstest.MapFS{"tokenizer.model": {Data: spPieces(2, "<unk>", "<s>", "▁", "a", "b", "▁a", "ab")}, "tokenizer_config.json": {Data: settings}}
		text, _, err := Find(dir, "")
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q is no line", err)
			}
			return
		}
		tok, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if ids := tok.Encode(nil, []byte("a ab")); !reflect.DeepEqual(ids, []int32{5, 5, 4}) && !strings.Contains(string(settings), "added_tokens_decoder") {
			t.Errorf("ids %v", ids)
		}
	})
}
