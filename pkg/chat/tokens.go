package chat

import (
	"encoding/json"
	"fmt"
)

// ReadTokens takes the special tokens of a model's tokenizer_config.json and, where that
// names none, of its special_tokens_map.json; either may be nil.
func ReadTokens(config, special []byte) (Tokens, error) {
	var t Tokens
	for i, text := range [2][]byte{config, special} {
		if text == nil {
			continue
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(text, &keys); err != nil {
			return t, fmt.Errorf("%s: %w", [2]string{"tokenizer_config.json", "special_tokens_map.json"}[i], err)
		}
		for name, to := range map[string]*string{"bos_token": &t.BOS, "eos_token": &t.EOS, "pad_token": &t.PAD, "unk_token": &t.UNK} {
			if *to == "" {
				*to = token(keys[name])
			}
		}
	}
	return t, nil
}

// token is the text of a special token: a string, or an object with a content.
func token(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var o struct{ Content string }
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.Content
}
