package bundle

import (
	"errors"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Begin is what a text begins with when nothing is given, one token or more: what the
// tokenizer puts in front of every text, else an end of a text, behind which the model has
// seen others begin. It fails where the model's files name neither.
func (b *Bundle) Begin() ([]int32, error) {
	if err := b.Text(); err != nil {
		return nil, err
	}
	if ids := tokenizer.Opening(b.Tokenizer, ""); len(ids) > 0 {
		return ids, nil
	}
	if ends := b.TextEnds(); len(ends) > 0 {
		return ends[:1], nil
	}
	return nil, fault.BadInput(errors.New(b.Path + ": its tokenizer names no token that begins or ends a text: give a prompt"))
}

// TextEnds are the ids that end a generated text: those that the model's files name, else
// that of its tokenizer.
func (b *Bundle) TextEnds() []int32 {
	if len(b.Ends) > 0 || b.Tokenizer == nil {
		return b.Ends
	}
	if end := b.Tokenizer.EOS(); end >= 0 {
		return []int32{end}
	}
	return nil
}
