package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

const (
	generationFile = "generation_config.json"
	specialFile    = "special_tokens_map.json"
	templateJSON   = "chat_template.json" // as processors of transformers keep it
	settingsFile   = "tokenizer_config.json"
	templateFile   = "chat_template.jinja"
)

// Generation is generation_config.json, as far as it is understood. Values that the
// file does not give are nil.
type Generation struct {
	DoSample          *bool    `json:"do_sample"`
	Temperature       *float64 `json:"temperature"`
	TopK              *int     `json:"top_k"`
	TopP              *float64 `json:"top_p"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`
	MaxNewTokens      *int     `json:"max_new_tokens"`
}

// readSettings takes the ends of text, the chat template and the generation settings
// from the small files of the model.
func (b *Bundle) readSettings() error {
	var ends [2]ids // of generation_config.json and config.json
	if text := b.small(generationFile); text != nil {
		for _, into := range []any{&b.Generation, &struct {
			EOS *ids `json:"eos_token_id"`
		}{&ends[0]}} {
			if err := json.Unmarshal(text, into); err != nil {
				return fmt.Errorf("%s: %w", generationFile, err)
			}
		}
	}
	if b.Tokenizer == nil {
		return nil
	}
	if err := json.Unmarshal(b.config, &struct {
		EOS *ids `json:"eos_token_id"`
	}{&ends[1]}); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	var s struct {
		EOS      token    `json:"eos_token"`
		AddEOS   *bool    `json:"add_eos_token"`
		Template template `json:"chat_template"`
	}
	var special struct {
		EOS token `json:"eos_token"`
	}
	for name, into := range map[string]any{settingsFile: &s, specialFile: &special} {
		if text := b.small(name); text != nil {
			if err := json.Unmarshal(text, into); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if s.EOS == "" {
		s.EOS = special.EOS
	}
	if text := b.small(templateJSON); s.Template == "" && text != nil {
		if err := json.Unmarshal(text, &struct {
			Template *template `json:"chat_template"`
		}{&s.Template}); err != nil {
			return fmt.Errorf("%s: %w", templateJSON, err)
		}
	}
	b.ChatTemplate = string(s.Template)
	if text := b.extra(templateFile); text != nil {
		b.ChatTemplate = string(text)
	}
	b.setEnds(append(ends[:], b.spelled(string(s.EOS))), s.AddEOS)
	return nil
}

// small is a carried JSON file without the mark that Windows programs put in front, or nil.
func (b *Bundle) small(name string) []byte {
	return bytes.TrimPrefix(b.extra(name), []byte("\ufeff"))
}

// setEnds takes the first of the sources that names an id of the vocabulary, or the end
// that the tokenizer knows by its name.
func (b *Bundle) setEnds(sources []ids, addEOS *bool) {
	named := b.Tokenizer.EOS()
	for _, s := range append(sources, ids{int(named)}) {
		for _, id := range s {
			if id >= 0 && id < b.Model.Vocab() && !slices.Contains(b.Ends, int32(id)) {
				b.Ends = append(b.Ends, int32(id))
			}
		}
		if len(b.Ends) > 0 {
			break
		}
	}
	eos, between := int32(-1), int32(-1)
	if len(b.Ends) > 0 {
		eos, between = b.Ends[0], b.Ends[0]
		if slices.Contains(b.Ends, named) { // of a chat model's ends, the one that its texts ended with
			between = named
		}
	}
	// A template that marks beginnings separates documents by itself, and a model that
	// was trained without ends has never seen one.
	if front, back := b.Tokenizer.Template(); len(front)+len(back) > 0 || addEOS != nil && !*addEOS {
		between = -1
	}
	b.Tokenizer = tokenizer.WithEnds(b.Tokenizer, eos, between)
}

// spelled is the id of a token that a file names by its text.
func (b *Bundle) spelled(text string) ids {
	if text == "" {
		return nil
	}
	if got := b.Tokenizer.Encode(nil, []byte(text)); len(got) == 1 {
		return ids{int(got[0])}
	}
	return nil
}

// ids is a token id, a list of them, or null.
type ids []int

func (x *ids) UnmarshalJSON(text []byte) error {
	var one *int
	if json.Unmarshal(text, &one) == nil {
		if *x = nil; one != nil {
			*x = ids{*one}
		}
		return nil
	}
	return json.Unmarshal(text, (*[]int)(x))
}

// token is a token's text: a string, an object with content, or null.
type token string

func (t *token) UnmarshalJSON(text []byte) error {
	var object struct{ Content string }
	if json.Unmarshal(text, &object) == nil {
		*t = token(object.Content)
		return nil
	}
	return json.Unmarshal(text, (*string)(t))
}

// template is a chat template: its text, or a list or an object of named ones of which
// "default" counts.
type template string

func (t *template) UnmarshalJSON(text []byte) error {
	var byName map[string]string
	if json.Unmarshal(text, &byName) == nil {
		*t = template(byName["default"])
		return nil
	}
	var named []struct{ Name, Template string }
	if json.Unmarshal(text, &named) == nil {
		for _, n := range named {
			if n.Name == "default" {
				*t = template(n.Template)
			}
		}
		return nil
	}
	return json.Unmarshal(text, (*string)(t))
}
