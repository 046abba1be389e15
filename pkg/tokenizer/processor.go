package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
)

// wrap is what a post-processor puts around a text.
type wrap struct{ front, back []int32 }

// processors make the wrap of a post_processor of each type.
var processors map[string]func(ps *parser, raw json.RawMessage) (wrap, error)

func init() {
	processors = map[string]func(*parser, json.RawMessage) (wrap, error){
		"Sequence": postSequence, "TemplateProcessing": postTemplate, "ByteLevel": postByteLevel,
		"BertProcessing": postPair, "RobertaProcessing": postPair,
	}
}

func postSequence(ps *parser, raw json.RawMessage) (wrap, error) {
	var p struct {
		Type       string
		Processors []json.RawMessage
	}
	var all wrap
	if err := ps.read(raw, &p); err != nil {
		return all, err
	}
	for i, raw := range p.Processors {
		w, err := component(ps, "processors", raw, processors)
		if err != nil {
			return all, fmt.Errorf("%d of a Sequence: %w", i, err)
		}
		all.front = append(append([]int32(nil), w.front...), all.front...)
		all.back = append(all.back, w.back...)
	}
	return all, nil
}

// postByteLevel trims offsets, which are not kept.
func postByteLevel(ps *parser, raw json.RawMessage) (wrap, error) {
	_, err := preByteLevel(ps, raw)
	return wrap{}, err
}

func postTemplate(ps *parser, raw json.RawMessage) (wrap, error) {
	type part struct {
		SpecialToken *struct {
			ID     string `json:"id"`
			TypeID int    `json:"type_id"`
		}
		Sequence *struct {
			ID     string `json:"id"`
			TypeID int    `json:"type_id"`
		}
	}
	var p struct {
		Type          string
		Single, Pair  []part // pairs of texts are not encoded here
		SpecialTokens map[string]struct {
			ID     string
			IDs    []int32
			Tokens []string
		} `json:"special_tokens"`
	}
	var w wrap
	if err := ps.read(raw, &p); err != nil {
		return w, err
	}
	texts := 0
	for i, s := range p.Single {
		switch {
		case s.Sequence != nil && s.SpecialToken == nil && s.Sequence.ID == "A":
			texts++
		case s.SpecialToken != nil && s.Sequence == nil:
			t, ok := p.SpecialTokens[s.SpecialToken.ID]
			if !ok {
				return w, fmt.Errorf("single[%d] is %q, which special_tokens does not hold", i, s.SpecialToken.ID)
			}
			if texts == 0 {
				w.front = append(w.front, t.IDs...)
			} else {
				w.back = append(w.back, t.IDs...)
			}
		default:
			return w, fmt.Errorf("single[%d] is neither a SpecialToken nor the Sequence A", i)
		}
	}
	if texts != 1 {
		return w, fmt.Errorf("single holds the text %d times, expected once", texts)
	}
	return w, nil
}

// named is a token and its id.
type named struct {
	token string
	id    int32
}

// template is the post-processor that puts tokens in front of a text and behind it.
func template(front, back []named) (json.RawMessage, error) {
	type part struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	special := map[string]any{}
	around := func(text string, typeID int) (parts []any) {
		for _, t := range front {
			special[t.token] = map[string]any{"id": t.token, "ids": []int32{t.id}, "tokens": []string{t.token}}
			parts = append(parts, map[string]part{"SpecialToken": {t.token, typeID}})
		}
		parts = append(parts, map[string]part{"Sequence": {text, typeID}})
		for _, t := range back {
			special[t.token] = map[string]any{"id": t.token, "ids": []int32{t.id}, "tokens": []string{t.token}}
			parts = append(parts, map[string]part{"SpecialToken": {t.token, typeID}})
		}
		return parts
	}
	single := around("A", 0)
	return json.Marshal(map[string]any{
		"type": "TemplateProcessing", "single": single, "pair": append(slices.Clone(single), around("B", 1)...), "special_tokens": special,
	})
}

// postPair is BERT's and RoBERTa's processor: the token cls in front and sep behind.
func postPair(ps *parser, raw json.RawMessage) (wrap, error) {
	var p struct {
		Type           string
		Sep, Cls       []json.RawMessage
		TrimOffsets    bool `json:"trim_offsets"`     // about offsets, which are not kept
		AddPrefixSpace bool `json:"add_prefix_space"` // about them as well
	}
	if err := ps.read(raw, &p); err != nil {
		return wrap{}, err
	}
	id := func(name string, two []json.RawMessage) (t named, err error) {
		if len(two) != 2 || json.Unmarshal(two[0], &t.token) != nil || json.Unmarshal(two[1], &t.id) != nil {
			err = fmt.Errorf("%s is no list of a token and its id", name)
		}
		return t, err
	}
	sep, err := id("sep", p.Sep)
	if err != nil {
		return wrap{}, err
	}
	cls, err := id("cls", p.Cls)
	return wrap{[]int32{cls.id}, []int32{sep.id}}, err
}
