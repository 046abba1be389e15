package workload

import (
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
	"github.com/ecospa/ecospa/pkg/train"
)

// texts is what the workloads of encoders share.
type texts struct {
	training, validation data.Texts
	name                 string // of the data, for messages
}

// openEncoder reads texts for an encoder: masked ones for a model with a masked-language-
// model head, else texts whose vectors are compared with those that the model of the
// bundle makes now.
func openEncoder(b *bundle.Bundle, s Source) (Workload, error) {
	part, err := data.Read(s.Path, s.Options)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	t := texts{name: s.Path}
	if t.training, err = encodeTexts(b, part, s.Path); err != nil {
		return nil, err
	}
	t.validation = t.training
	if s.Held > 0 {
		t.training, t.validation = t.training.Split(s.Held)
	}
	if t.training.Len() == 0 || t.validation.Len() == 0 {
		return nil, fault.BadInput(fmt.Errorf("%s has %d training texts and %d held-out texts, expected at least one of each: each document is one text", s.Path, t.training.Len(), t.validation.Len()))
	}
	return t.of(b)
}

// encodeTexts encodes a part for the encoder of a bundle.
func encodeTexts(b *bundle.Bundle, part data.Part, name string) (t data.Texts, err error) {
	if b.Tokenizer == nil {
		return t, fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", b.Path))
	}
	if t, err = data.EncodeTexts(b.Tokenizer, part); err == nil {
		err = t.Below(b.Model.Vocab())
	}
	if err != nil {
		err = fault.BadInput(fmt.Errorf("%s: %w", name, err))
	}
	return t, err
}

// of is the texts as the workload that fits the encoder of a bundle.
func (t texts) of(b *bundle.Bundle) (Workload, error) {
	if b.Model.Arch().MaskedLM {
		mask, ok := b.MaskToken()
		if !ok {
			return nil, fault.BadInput(fmt.Errorf("%s: the tokenizer has no token [MASK] or <mask>, which a masked-language-model head needs", b.Path))
		}
		return &Masked{t, data.Masking{Mask: mask, Vocab: b.Model.Vocab()}}, nil
	}
	e, err := b.Embedding()
	if err != nil {
		return nil, err
	}
	return newVectors(t, b, e.MaxTokens), nil
}

// ReadMasked reads the texts that a run file names for the encoder of a bundle, which has a
// masked-language-model head.
func ReadMasked(c data.Config, b *bundle.Bundle) (*Masked, error) {
	if err := c.CheckImages(false); err != nil {
		return nil, fault.Usage(err)
	}
	if !b.Model.Arch().MaskedLM {
		return nil, fault.Usage(fmt.Errorf("%s is an encoder without a masked-language-model head, so there is no loss to train on: ecospa prune --recover trains it against the model before the cut", b.Path))
	}
	corpus, err := data.Load(c)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	t := texts{name: c.Path}
	if t.training, err = encodeTexts(b, corpus.Train, c.Path); err != nil {
		return nil, err
	}
	if t.validation, err = encodeTexts(b, corpus.Validation, c.Path); err != nil {
		return nil, err
	}
	if t.training.Len() == 0 {
		return nil, fault.BadInput(fmt.Errorf("%s: no training text is left", c.Path))
	}
	w, err := t.of(b)
	if err != nil {
		return nil, err
	}
	return w.(*Masked), nil
}

// Bytes implements Workload: not known, as not all of the text is predicted.
func (t *texts) Bytes() int { return 0 }

// Floor implements Workload.
func (t *texts) Floor() float64 { return math.NaN() }

// Checksum implements Workload.
func (t *texts) Checksum() uint32 { return t.training.Checksum() }

// evaluate measures a model on windows, of which there are so many sequences.
func evaluate(on prune.Subject, o EvalOptions, sequences int, windows func(batch int) iter.Seq2[data.Batch, error]) (train.Evaluation, error) {
	g := on.Ranks
	if g == nil {
		g = dist.Alone{}
	}
	if o.Batch == 0 {
		o.Batch = o.defaultBatch(sequences, g.Size())
	}
	e, err := train.NewEvaluator(on.Model, on.Set, on.Pool, o.Batch, o.Context, false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	e.Progress = o.progress(sequences)
	return e.RunOn(g, windows(o.Batch))
}

// Masked is texts for an encoder with a masked-language-model head: see data.Masking.
type Masked struct {
	texts
	masking data.Masking
}

// Unit implements Workload.
func (t *Masked) Unit() Unit { return Token }

// Counts implements Workload: tokens, of which a seventh or so is predicted.
func (t *Masked) Counts() (training, validation int) {
	return t.training.Tokens(), t.validation.Tokens()
}

// Context implements Workload.
func (t *Masked) Context(m model.Model, asked, limit int) (int, error) {
	if asked == 0 {
		if asked = m.Context(); limit > 0 {
			asked = min(asked, limit)
		}
	}
	return asked, check(m, asked)
}

// Sequences implements Workload.
func (t *Masked) Sequences(context int) (int, error) {
	return max(1, t.training.Sequences(context)), nil
}

// Batches implements Workload.
func (t *Masked) Batches(batch, context int, at data.Cursor) (Batches, error) {
	b, err := data.NewMaskedBatches(t.training, t.masking, batch, context, at)
	return b, fault.BadInput(err)
}

// Validation implements Workload; the same places are masked in every call.
func (t *Masked) Validation(batch, context, limit int) iter.Seq2[data.Batch, error] {
	if t.validation.Len() == 0 {
		return nil
	}
	return data.MaskedWindows(t.validation, t.masking, batch, context, limit)
}

// Calibration implements Workload: masked sequences of the training texts.
func (t *Masked) Calibration(n, context int, seed uint64) (prune.Sequences, error) {
	b, err := data.SampleMasked(t.training, t.masking, n, context, seed)
	return prune.Sequences{Context: context, Batch: b}, fault.BadInput(err)
}

// Evaluate implements Workload: the mean loss of the masked tokens, the tokens around them
// given.
func (t *Masked) Evaluate(on prune.Subject, o EvalOptions) (train.Evaluation, error) {
	if t.validation.Len() == 0 {
		return train.Evaluation{}, fault.BadInput(errors.New("no text is held out to evaluate on"))
	}
	o.Context = min(o.Context, t.validation.Longest())
	return evaluate(on, o, t.validation.Sequences(o.Context), func(batch int) iter.Seq2[data.Batch, error] { return t.Validation(batch, o.Context, o.Limit) })
}
