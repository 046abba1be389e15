package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// readTokenizer reads the tokenizer of a directory, where there is one, and checks it
// against the model's vocabulary.
func (b *Bundle) readTokenizer(dir *folder.Dir) error {
	if _, ok := b.Model.(model.Classifier); ok {
		return nil
	}
	text, name, err := tokenizer.Find(dir.FS(), "")
	if name == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		b.Tokenizer, err = tokenizer.Parse(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir.Name(), name), err)
	}
	b.Notes = append(b.Notes, tokenizer.Warnings(b.Tokenizer)...)
	if err := b.fits(text); err != nil {
		return err
	}
	return b.names(text)
}

// names notes a tokenizer that leaves more than half of the model's rows without a
// token: it may be another model's.
func (b *Bundle) names(text []byte) error {
	rows := b.Model.Vocab()
	missing := len(b.Unused())
	if 2*missing <= rows {
		return nil
	}
	var file struct{ Model struct{ Type string } }
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	b.Notes = append(b.Notes, fmt.Sprintf("the tokenizer (%s) has tokens for only %d of the model's %d ids: it may belong to another model", file.Model.Type, rows-missing, rows))
	return nil
}

// fits refuses a tokenizer of another model. Rows of the vocabulary that no token has
// are usual (a vocabulary padded for speed), and so is an added token beyond the last
// row (a pad token that nothing ever encodes): an ordinary token there is not.
func (b *Bundle) fits(text []byte) error {
	have, rows := b.Tokenizer.Vocab(), b.Model.Vocab()
	if have <= rows {
		return nil
	}
	var file struct {
		Added []struct {
			ID int `json:"id"`
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	added := map[int]bool{}
	for _, t := range file.Added {
		added[t.ID] = true
	}
	for id := rows; id < have; id++ {
		if !added[id] {
			return fmt.Errorf("%s: the tokenizer has %d ids, the model %d", b.Path, have, rows)
		}
	}
	b.Notes = append(b.Notes, fmt.Sprintf("the tokenizer has %d ids, the model %d: a text with an added token of id %d or above is refused", have, rows, rows))
	return nil
}

// Text reports why the model cannot continue text: it classifies images, is an encoder, or
// has no tokenizer.
func (b *Bundle) Text() error {
	if _, ok := b.Model.(model.Classifier); ok {
		return fault.Usage(fmt.Errorf("%s: the model classifies images and has no text", b.Path))
	}
	if _, ok := b.Model.(model.Encoder); ok {
		return fault.Usage(fmt.Errorf("%s: the family %s is an encoder and cannot continue text", b.Path, b.Model.Family()))
	}
	if b.Tokenizer == nil {
		return fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", b.Path))
	}
	return nil
}

// Opening is a prompt's tokens behind what the tokenizer puts in front of a text. A token
// without a row in the model is an error.
func (b *Bundle) Opening(prompt string) ([]int32, error) {
	ids := tokenizer.Opening(b.Tokenizer, prompt)
	for _, id := range ids {
		if rows := b.Model.Vocab(); int(id) >= rows {
			return nil, fault.BadInput(fmt.Errorf("%s: the text holds the token %q with id %d, but the model has only %d ids", b.Path, b.name(id), id, rows))
		}
	}
	return ids, nil
}

// MaskToken is the token that stands for a hidden one in masked-language modelling.
func (b *Bundle) MaskToken() (id int32, ok bool) {
	for _, name := range []string{"[MASK]", "<mask>"} {
		ids := b.Tokenizer.Encode(nil, []byte(name))
		if len(ids) != 1 {
			continue
		}
		if piece, err := b.Tokenizer.Piece(ids[0]); err == nil && strings.TrimSpace(string(piece)) == name {
			return ids[0], true
		}
	}
	return 0, false
}

// Unused are the ids of the vocabulary that no token has, in order; nil for a model
// without a tokenizer. They must never be sampled.
func (b *Bundle) Unused() []int32 {
	if b.Tokenizer == nil {
		return nil
	}
	var out []int32
	for id := range int32(b.Model.Vocab()) {
		if _, err := b.Tokenizer.Piece(id); err != nil {
			out = append(out, id)
		}
	}
	return out
}
