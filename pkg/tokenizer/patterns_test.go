package tokenizer

import (
	"errors"
	"strings"
	"testing"
)

func TestPreTokenizers(t *testing.T) {
	llama3 := `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},
{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`
	for _, c := range []struct{ raw, want string }{
		{`{"type":"ByteLevel","add_prefix_space":false}`, "gpt-2"},
		{llama3, "llama-bpe"},
		{strings.Replace(llama3, "{1,3}", "", 1), "qwen2"},
		{`{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]}`, "smollm"},
		{strings.Replace(llama3, "{1,3}", "{1,4}", 1), ""},
		{`{"type":"ByteLevel","add_prefix_space":true}`, ""},
		{`{"type":"Whitespace"}`, ""},
		{``, ""},
	} {
		if got := PreTokenizer([]byte(c.raw)); got != c.want {
			t.Errorf("%.60s: %q, expected %q", c.raw, got, c.want)
		}
	}
	for _, f := range families {
		if got := PreTokenizer(f.preTokenizer()); got != f.name {
			t.Errorf("%s comes back as %q", f.name, got)
		}
	}
}

func TestFromGGUFRefuses(t *testing.T) {
	tokens := []string{"[UNK]", "a", "b", "ab"}
	for want, keys := range map[string]map[string]any{
		"tokens is missing":   {"tokenizer.ggml.model": "gpt2"},
		`model is "rwkv"`:     {"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": tokens},
		`pre is "nonsense"`:   {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.pre": "nonsense"},
		"merges[0]":           {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": []string{"ab"}},
		"merge 0 of":          {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": []string{"x b"}},
		"no unknown token":    {"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": tokens[1:]},
		"empty, not UTF-8":    {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"a", "a"}},
		"precompiled_charsma": {"tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.precompiled_charsmap": []byte{1}},
	} {
		if _, err := FromGGUF(keys); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, expected one line with %q", keys, err, want)
		}
	}
	keys := map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": []string{"a b"}, "tokenizer.ggml.bos_token_id": uint32(9), "tokenizer.ggml.add_bos_token": true}
	tok, err := FromGGUF(keys)
	if err != nil {
		t.Fatal(err)
	}
	if front, _ := tok.Template(); len(front) != 0 {
		t.Errorf("an id outside of the vocabulary, %v, goes in front of a text", front)
	}
}
