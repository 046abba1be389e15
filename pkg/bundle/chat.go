package bundle

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/internal/fault"
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
		return nil, fault.BadInput(fmt.Errorf("%s: %w", b.Path, err))
	}
	if front, _ := b.Tokenizer.Template(); tokens.BOS == "" && len(front) == 1 {
		tokens.BOS = b.name(front[0])
	}
	if tokens.EOS == "" && len(b.Ends) > 0 {
		tokens.EOS = b.name(b.Ends[0])
	}
	t, err := chat.Compile(source, tokens)
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", b.Path, err))
	}
	return t, nil
}

// SetChat is the template with which the model learns chats: that of chat.Named by that
// name, or else the model's own, or else ChatML. One that is not the model's own becomes
// it: what is saved has it, in tokenizer_config.json where the model has that file and in
// chat_template.jinja where it has that one or neither.
func (b *Bundle) SetChat(named string) (*chat.Template, error) {
	if named == "" && b.ChatTemplate == "" {
		named = "chatml"
	}
	if named != "" {
		source, err := chat.Named(named)
		if err != nil {
			return nil, err
		}
		if err := b.writeChat(source); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Path, err)
		}
	}
	return b.Chat("")
}

// writeChat makes a template the model's own.
func (b *Bundle) writeChat(source string) error {
	if b.ChatTemplate == source {
		return nil
	}
	settings := b.extra(settingsFile)
	if settings == nil || b.extra(templateFile) != nil {
		b.setExtra(templateFile, []byte(source))
	}
	if settings != nil {
		keys, err := object(settings)
		if err != nil {
			return fmt.Errorf("%s: %w", settingsFile, err)
		}
		text, err := json.Marshal(source)
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, func(m member) bool { return m.name == "chat_template" })
		if settings, err = write(append(keys, member{"chat_template", text})); err != nil {
			return err
		}
		b.setExtra(settingsFile, settings)
	}
	b.ChatTemplate = source
	return nil
}

// name is a token's text, "" where the id has none.
func (b *Bundle) name(id int32) string {
	piece, err := b.Tokenizer.Piece(id)
	if err != nil {
		return ""
	}
	return string(piece)
}
