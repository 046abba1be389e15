package ggufmodel

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/gguf"
)

// Patterns are llama.cpp's names of pre-tokenizers and the regular expressions of the
// tokenizer.json files that they stand for.
var Patterns = map[string]string{
	"llama-bpe": `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"qwen2":     `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	"gpt-2":     `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
}

// preTokenizer is the pre_tokenizer of a tokenizer.json.
func preTokenizer(name string) (any, error) {
	level := func(regex bool) map[string]any {
		return map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
	}
	sequence := func(steps ...any) any { return map[string]any{"type": "Sequence", "pretokenizers": steps} }
	if p, ok := Patterns[name]; ok && name != "gpt-2" {
		return sequence(map[string]any{"type": "Split", "pattern": map[string]any{"Regex": p}, "behavior": "Isolated", "invert": false}, level(false)), nil
	}
	switch name {
	case "gpt-2", "gpt2", "default":
		return level(true), nil
	case "smollm":
		return sequence(map[string]any{"type": "Digits", "individual_digits": true}, level(true)), nil
	}
	return nil, fmt.Errorf("%w: tokenizer.ggml.pre is %.40q, expected gpt-2, llama-bpe, qwen2 or smollm", gguf.ErrFormat, name)
}
