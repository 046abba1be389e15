package workload

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// Text is a corpus, encoded.
type Text struct {
	training, validation data.Encoded
	sum                  uint32
	bytes                int     // of the validation part
	entropy              float64 // of the validation part in nats; NaN where it is not known
	skipped              int     // records of the training part that are no documents
	chats                bool
	name                 string       // of the data, for messages
	parts                []TextPart   // of a mixture
	limited              data.Limited // what data.max_length did to the training part
	measured             *Text        // what Evaluate reads, whatever its limit; nil is the validation part
}

// Encode encodes a part of a corpus: data.Encode, or a cache of it.
type Encode func(tokenizer.Tokenizer, data.Part) (data.Encoded, error)

// ReadText reads the corpus that a run file names and encodes it with the tokenizer
// that make gives for its training part.
func ReadText(c data.Config, make func(training data.Part) (tokenizer.Tokenizer, error), encode Encode) (*Text, tokenizer.Tokenizer, error) {
	if err := c.CheckImages(false); err != nil {
		return nil, nil, fault.Usage(err)
	}
	if c.Mix != nil {
		return readMixture(c, make, encode)
	}
	corpus, err := data.Load(c)
	if err != nil {
		return nil, nil, fault.BadInput(err)
	}
	tok, err := make(corpus.Train)
	if err != nil {
		return nil, nil, fault.BadInput(err)
	}
	t, err := newText(c, tok, corpus, encode)
	return t, tok, err
}

func newText(c data.Config, tok tokenizer.Tokenizer, corpus data.Corpus, encode Encode) (t *Text, err error) {
	t = &Text{name: c.Path, entropy: corpus.Validation.Entropy, bytes: corpus.Validation.Bytes(), skipped: corpus.Train.Skipped, chats: corpus.Train.Chats()}
	if corpus.Validation.Chats() {
		t.bytes = 0 // those of the records, of which the template shows a part
	}
	if t.training, err = encode(tok, corpus.Train); err == nil {
		t.sum = t.training.Checksum()
		t.validation, err = encode(tok, corpus.Validation)
	}
	if err == nil && c.MaxLength > 0 {
		err = t.limit(c)
	}
	if errors.Is(err, data.ErrFormat) {
		err = fault.BadInput(err)
	}
	return t, err
}

// limit applies data.max_length.
func (t *Text) limit(c data.Config) error {
	for _, part := range []*data.Encoded{&t.training, &t.validation} {
		tokens, ok := (*part).(data.Tokens)
		if ok && len(tokens) > 0 && !tokens.Separate() || !ok {
			return fault.Usage(fmt.Errorf("data.max_length is for texts of several documents, which %s is not as it is read (data.pack; token ids on disk are cut by train.context only)", c.Path))
		}
		cut, l := tokens.Limit(c.MaxLength, c.Overflow)
		if part == &t.training {
			t.limited, t.sum = l, cut.Checksum()
		}
		*part = cut
	}
	return nil
}

// Limited says what data.max_length did to the training part.
func (t *Text) Limited() data.Limited { return t.limited }

// openText reads text for a model. Its last share is the validation part, cut between
// tokens of the whole, as the text was encoded in one piece.
func openText(b *bundle.Bundle, s Source) (*Text, error) {
	part, err := readPart(b, s)
	if err != nil {
		return nil, err
	}
	all, err := encodePart(b, part, s.Path)
	if err != nil {
		return nil, err
	}
	t := &Text{name: s.Path, training: all, validation: all, sum: all.Checksum(), entropy: math.NaN(), bytes: part.Bytes(), skipped: part.Skipped, chats: part.Chats()}
	if t.chats {
		t.bytes = 0
	}
	if whole, ok := all.(data.Divisible); ok && s.Held > 0 {
		cut := whole.Cut(s.Held)
		t.training, t.validation, t.bytes = whole.Part(0, cut), whole.Part(cut, all.Len()), 0
	}
	return t, t.checkLength()
}

// readPart reads the documents of text for a model, chats with a template.
func readPart(b *bundle.Bundle, s Source) (data.Part, error) {
	part, err := data.Read(s.Path, s.Options)
	if err == nil && part.Chats() {
		if part.Template, err = b.Chat(s.Template); err == nil && part.Template == nil {
			part.Template, err = b.Chat("chatml")
		}
	}
	return part, fault.BadInput(err)
}

// encodePart encodes documents with the tokenizer of a bundle; name is where they are from.
func encodePart(b *bundle.Bundle, part data.Part, name string) (data.Encoded, error) {
	ids, err := data.Encode(b.Tokenizer, part)
	if err == nil {
		err = ids.Below(b.Model.Vocab())
	}
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", name, err))
	}
	return ids, nil
}

// checkLength refuses a validation part of which nothing can be predicted.
func (t *Text) checkLength() error {
	if n := t.validation.Len(); n < 2 {
		return fault.BadInput(fmt.Errorf("%s has %d tokens to evaluate on, expected at least 2", t.name, n))
	}
	return nil
}

// Unit implements Workload.
func (t *Text) Unit() Unit { return Token }

// Counts implements Workload.
func (t *Text) Counts() (training, validation int) { return t.training.Len(), t.validation.Len() }

// Bytes implements Workload.
func (t *Text) Bytes() int { return t.bytes }

// Floor implements Workload.
func (t *Text) Floor() float64 {
	if t.validation.Len() == 0 {
		return math.NaN()
	}
	return t.entropy / float64(t.validation.Len())
}

// Checksum implements Workload.
func (t *Text) Checksum() uint32 { return t.sum }

// Below reports the first id that is none of a vocabulary's.
func (t *Text) Below(vocab int) error {
	if err := cmp.Or(t.training.Below(vocab), t.validation.Below(vocab)); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return nil
}

// Opening is the first tokens of the validation part, n at most.
func (t *Text) Opening(n int) ([]int32, error) {
	return data.IDs(t.validation, 0, min(n, t.validation.Len()))
}

// Context implements Workload.
func (t *Text) Context(m model.Model, asked, limit int) (int, error) {
	if asked == 0 {
		if asked = m.Context(); limit > 0 {
			asked = min(asked, limit)
		}
	}
	return asked, check(m, asked)
}

// Sequences implements Workload.
func (t *Text) Sequences(context int) (int, error) {
	if t.training.Separate() {
		p, err := t.Packing(context)
		return max(1, p.Sequences), err
	}
	return max(1, (t.training.Len()-1)/context), nil
}

// Skipped is the number of records of the training part that have nothing to learn.
func (t *Text) Skipped() int { return t.skipped }

// Chats reports whether the training part is conversations.
func (t *Text) Chats() bool { return t.chats }

// Separate reports whether documents of the training part are told apart.
func (t *Text) Separate() bool { return t.training.Separate() }

// Examples are the first n documents of the training part as they are learned; of a
// stream its first tokens, at most `most`.
func (t *Text) Examples(n, most int) ([]data.Example, error) {
	return data.Examples(t.training, n, most)
}

// Packing says how the training part becomes sequences: see data.Packing.
func (t *Text) Packing(context int) (data.Packing, error) {
	p, err := data.PackingOf(t.training, context)
	return p, fault.BadInput(err)
}

// Batches implements Workload.
func (t *Text) Batches(batch, context int, at data.Cursor) (Batches, error) {
	b, err := data.NewBatches(t.training, batch, context, at)
	return b, fault.BadInput(err)
}

// Validation implements Workload.
func (t *Text) Validation(batch, context, limit int) iter.Seq2[data.Batch, error] {
	if t.validation.Len() < 2 {
		return nil
	}
	return data.Windows(t.validation, batch, context, limit)
}

// Calibration implements Workload: windows of the training text.
func (t *Text) Calibration(n, context int, seed uint64) (prune.Sequences, error) {
	b, err := data.Sample(t.training, n, context, seed)
	if err == nil && b.N < 1 {
		err = fmt.Errorf("%s: %d tokens do not fill one sequence of %d", t.name, t.training.Len(), context)
	}
	return prune.Sequences{Context: context, Batch: b}, fault.BadInput(err)
}

// Evaluate implements Workload. A text shorter than a sequence does not need a whole one.
func (t *Text) Evaluate(on prune.Subject, o EvalOptions) (train.Evaluation, error) {
	if t.measured != nil {
		o.Limit = 0
		return t.measured.Evaluate(on, o)
	}
	if err := t.checkLength(); err != nil {
		return train.Evaluation{}, err
	}
	g := on.Ranks
	if g == nil {
		g = dist.Alone{}
	}
	p, err := data.PackingOf(t.validation, o.Context)
	if err != nil {
		return train.Evaluation{}, fault.BadInput(err)
	}
	o.Context = min(o.Context, max(1, p.Longest))
	if p, err = data.PackingOf(t.validation, o.Context); err != nil {
		return train.Evaluation{}, fault.BadInput(err)
	}
	if o.Batch == 0 {
		o.Batch = o.defaultBatch(p.Sequences, g.Size())
	}
	e, err := train.NewEvaluator(on.Model, on.Set, on.Pool, o.Batch, o.Context, false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	e.Progress = o.progress(p.Sequences)
	return e.RunOn(g, t.Validation(o.Batch, o.Context, o.Limit))
}
