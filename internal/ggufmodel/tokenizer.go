package ggufmodel

import "github.com/ecospa/ecospa/internal/gguf"

// ID is the token that a key names, -1 when it names none of the vocabulary.
func ID(f *gguf.File, key string) int {
	tokens, _ := f.Keys["tokenizer.ggml.tokens"].([]string)
	if id, ok := f.Keys["tokenizer.ggml."+key].(uint32); ok && int64(id) < int64(len(tokens)) {
		return int(id)
	}
	return -1
}

// Ends are the ids that end a text (eos), a turn (eot) or a message (eom).
func Ends(f *gguf.File) (ids []int) {
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if id := ID(f, key); id >= 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
