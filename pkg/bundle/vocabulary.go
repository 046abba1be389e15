package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// vocabularyFiles say the vocabulary once more, by its old ids: tokenizer.json says it all.
var vocabularyFiles = []string{"vocab.json", "merges.txt", "vocab.txt", "added_tokens.json"}

// KeepVocabulary cuts the vocabulary to ids and what must stay beside them:
// the tokens that its files name, and what tokenizer.Keep keeps. What is cut is the rows of the embedding and of the head, the tokenizer, the
// ends of text and the ids that the configuration files name. Logits of kept ids stay
// what they were. renumbered has the new id of each old one, or -1. Nothing has changed
// when it returns an error.
func (b *Bundle) KeepVocabulary(ids []int32) (renumbered []int32, err error) {
	text, renumbered, err := b.vocabulary(ids)
	if err != nil {
		return nil, err
	}
	rows := keptRows(renumbered, b.Model.Vocab())
	tok, err := tokenizer.Parse(text)
	if err != nil {
		return nil, err
	}
	config, err := b.Config(b.dtype(""))
	if err != nil {
		return nil, err
	}
	if config, err = renumber(config, renumbered, len(rows)); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	extra, err := b.renumberExtra(renumbered)
	if err != nil {
		return nil, err
	}
	m, err := model.Parse(config)
	if err != nil {
		return nil, err
	}
	m.Arch().Pooling, m.Arch().Pooler = b.Model.Arch().Pooling, b.Model.Arch().Pooler
	if err := b.Set.Shrink(param.Cut{"vocab": param.Keep{rows}}); err != nil {
		return nil, err
	}
	to := func(id int32) int32 {
		if id < 0 || int(id) >= len(renumbered) {
			return -1
		}
		return renumbered[id]
	}
	eos, between := to(b.Tokenizer.EOS()), to(tokenizer.DocumentEnd(b.Tokenizer))
	var ends []int32
	for _, id := range b.Ends {
		if id = to(id); id >= 0 {
			ends = append(ends, id)
		}
	}
	b.Model, b.Ends, b.Extra, b.config, b.tokenizer = m, ends, extra, config, text
	b.Tokenizer = tokenizer.WithEnds(tok, eos, between)
	return renumbered, nil
}

// VocabularyRows is how many ids KeepVocabulary would leave.
func (b *Bundle) VocabularyRows(ids []int32) (int, error) {
	_, renumbered, err := b.vocabulary(ids)
	return len(keptRows(renumbered, b.Model.Vocab())), err
}

// vocabulary is the tokenizer with ids, with the tokens that the model's files name and
// those that its chat template spells.
func (b *Bundle) vocabulary(ids []int32) (text []byte, renumbered []int32, err error) {
	switch _, images := b.Model.(model.Classifier); {
	case images:
		return nil, nil, fault.Usage(b.Text())
	case b.Tokenizer == nil:
		return nil, nil, fault.Usage(fmt.Errorf("%s holds no tokenizer.json: without one no vocabulary can be made smaller", b.Path))
	}
	keep := append(slices.Clone(ids), b.Ends...)
	named := func(id int) int {
		if id >= 0 && id < b.Tokenizer.Vocab() {
			keep = append(keep, int32(id))
		}
		return id
	}
	for _, file := range [][]byte{b.config, b.extra(generationFile)} {
		if file == nil {
			continue
		}
		members, err := object(file)
		if err != nil {
			return nil, nil, err
		}
		for _, m := range members {
			if namesIDs(m.name) {
				if _, err := eachID(m.value, named); err != nil {
					return nil, nil, fmt.Errorf("%s: %s: %w", b.Path, m.name, err)
				}
			}
		}
	}
	spelled, err := b.spelledByTemplate()
	if err != nil {
		return nil, nil, err
	}
	keep = append(keep, spelled...)
	keep = slices.DeleteFunc(keep, func(id int32) bool { _, err := b.Tokenizer.Piece(id); return err != nil })
	text, renumbered, err = tokenizer.Keep(b.Tokenizer, keep)
	if errors.Is(err, tokenizer.ErrKeep) {
		err = fault.Usage(fmt.Errorf("%s: %w", b.Path, err))
	}
	return text, renumbered, err
}

// spelledByTemplate are the added tokens whose text the chat template holds.
func (b *Bundle) spelledByTemplate() (out []int32, err error) {
	if b.ChatTemplate == "" {
		return nil, nil
	}
	text, err := b.Tokenizer.JSON()
	if err != nil {
		return nil, err
	}
	var file struct {
		Added []struct {
			ID      int32  `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	for _, t := range file.Added {
		if strings.Contains(b.ChatTemplate, t.Content) {
			out = append(out, t.ID)
		}
	}
	return out, nil
}

// keptRows are the rows of the embedding that stay. A token beyond the last row has none.
func keptRows(renumbered []int32, rows int) (out []int) {
	for id, to := range renumbered {
		if to >= 0 && id < rows {
			out = append(out, id)
		}
	}
	return out
}
