package bundle

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/chat"
)

// Chat is the model's chat template, or the one of chat.Named by that name. Without
// either it is nil. The tokens that it names are those of the model's files, or else
// what stands in front of a text and ends one.
func (b *Bundle) Chat(named string) (*chat.Template, error) {
	source := b.ChatTemplate
	if named != "" {
		var err error
		if source, err = chat.Named(named); err != nil {
			return nil, err
		}
	}
	if source == "" || b.Tokenizer == nil {
		return nil, nil
	}
	tokens, err := chat.ReadTokens(b.extra("tokenizer_config.json"), b.extra("special_tokens_map.json"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Path, err)
	}
	if front, _ := b.Tokenizer.Template(); tokens.BOS == "" && len(front) == 1 {
		tokens.BOS = b.name(front[0])
	}
	if tokens.EOS == "" && len(b.Ends) > 0 {
		tokens.EOS = b.name(b.Ends[0])
	}
	t, err := chat.Compile(source, tokens)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Path, err)
	}
	return t, nil
}

// name is a token's text, "" where the id has none.
func (b *Bundle) name(id int32) string {
	piece, err := b.Tokenizer.Piece(id)
	if err != nil {
		return ""
	}
	return string(piece)
}
