package workload

import (
	"fmt"
	"iter"
	"math"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// TextPart is one of the corpora of a mixture.
type TextPart struct {
	Name       string // as data.mix has it
	validation data.Encoded
}

// Parts are the corpora of a mixture; none of a text that is one.
func (t *Text) Parts() []TextPart { return t.parts }

// Validation is the part's validation part, as Workload.Validation; nil where it has none.
func (p TextPart) Validation(batch, context, limit int) iter.Seq2[data.Batch, error] {
	if p.validation.Len() < 2 {
		return nil
	}
	return data.Windows(p.validation, batch, context, limit)
}

// readMixture reads the corpora of data.mix, of each of which a share is held out. A
// tokenizer is trained on the training parts of all.
func readMixture(c data.Config, make func(training data.Part) (tokenizer.Tokenizer, error), encode Encode) (*Text, tokenizer.Tokenizer, error) {
	var all []data.Corpus
	var together data.Part
	var weights []float64
	for i, m := range c.Mix {
		one := c
		one.Mix, one.Path = nil, m.Path
		corpus, err := data.Load(one)
		if err != nil {
			return nil, nil, fault.BadInput(fmt.Errorf("data.mix: part %d: %w", i+1, err))
		}
		if i == 0 {
			together = corpus.Train
		} else if together.Chats() != corpus.Train.Chats() {
			return nil, nil, fault.BadInput(fmt.Errorf("data.mix: %s and %s: one holds chats, the other text", c.Mix[0].Path, m.Path))
		} else {
			together.Documents = append(together.Documents[:len(together.Documents):len(together.Documents)], corpus.Train.Documents...)
		}
		all, weights = append(all, corpus), append(weights, m.Weight)
	}
	tok, err := make(together)
	if err != nil {
		return nil, nil, fault.BadInput(err)
	}
	t := &Text{name: "data.mix", entropy: math.NaN()}
	var training, validation []data.Encoded
	for i, corpus := range all {
		one := c
		one.Path = c.Mix[i].Path
		part, err := newText(one, tok, corpus, encode)
		if err != nil {
			return nil, nil, err
		}
		training, validation = append(training, part.training), append(validation, part.validation)
		t.parts = append(t.parts, TextPart{c.Mix[i].Path, part.validation})
		t.skipped, t.chats = t.skipped+part.skipped, part.chats
		t.limited.Documents, t.limited.Tokens = t.limited.Documents+part.limited.Documents, t.limited.Tokens+part.limited.Tokens
	}
	mixed, err := data.NewMixture(training, weights)
	if err == nil {
		t.training, t.sum = mixed, mixed.Checksum()
		t.validation, err = data.NewMixture(validation, weights)
	}
	if err != nil {
		return nil, nil, fault.BadInput(fmt.Errorf("data.mix: %w", err))
	}
	return t, tok, nil
}
