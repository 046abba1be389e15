package export

import "encoding/json"

// tokenizerSettings is a tokenizer_config.json. Without one transformers takes the
// class that a family had first: its LlamaTokenizerFast adds <s> and </s> to a
// vocabulary that has none, and puts one in front. PreTrainedTokenizerFast does what
// tokenizer.json says, post_processor included, and nothing else.
func (s *source) tokenizerSettings(o Options, config map[string]any) (map[string]any, error) {
	v, err := names(o.Tokenizer)
	if err != nil {
		return nil, err
	}
	c := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": s.Positions, "clean_up_tokenization_spaces": false,
	}
	front := bos(config)
	if len(o.Front) == 1 {
		front = int(o.Front[0])
	}
	for key, id := range map[string]int{"bos_token": front, "eos_token": o.EOS} {
		if token, ok := v[id]; ok {
			c[key] = token
		}
	}
	return c, nil
}

// names maps the ids of a tokenizer.json to their tokens.
func names(text []byte) (map[int]string, error) {
	var f tokenizerFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	out := make(map[int]string, len(f.Model.Vocab.ids))
	for token, id := range f.Model.Vocab.ids {
		out[id] = token
	}
	for _, a := range f.Added {
		out[a.ID] = a.Content
	}
	return out, nil
}
