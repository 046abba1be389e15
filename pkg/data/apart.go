package data

import (
	"slices"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// EncodeApart encodes texts as versions did that knew no documents, for runs that they
// began: a prompt and its document each by itself, one after the other, and behind every
// of several documents the end of a text that the tokenizer knows by its name.
func EncodeApart(t tokenizer.Tokenizer, p Part) (Encoded, error) {
	if p.Shards != nil || p.Chats() {
		return Encode(t, p)
	}
	var ids Tokens
	front, back := t.Template()
	end := tokenizer.NamedEnd(t)
	for i, d := range p.Documents {
		at := len(ids)
		ids = append(ids, front...)
		if p.Prompts != nil {
			ids = t.Encode(ids, p.Prompts[i])
		}
		for ; at < len(ids); at++ {
			ids[at] = ^ids[at]
		}
		ids = append(encode(ids, t, d), back...)
		if end >= 0 && len(p.Documents) > 1 && !slices.Contains(back, end) {
			ids = append(ids, end)
		}
	}
	return ids, nil
}
