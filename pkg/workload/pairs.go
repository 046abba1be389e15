package workload

import (
	"errors"
	"iter"
	"math"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Pairs is prompts with a chosen and a rejected answer. The Text in it is that of the chosen
// answers: what calibration and examples take.
type Pairs struct {
	*Text
	all           [2]*data.Pairs // training and validation part
	fitted        [2]*data.Pairs // for sequences of context tokens
	context, most int
	drop          bool
}

// EncodePairs encodes a part of a corpus: data.EncodePairs.
type EncodePairs func(tokenizer.Tokenizer, data.Part) (*data.Pairs, error)

// ReadPairs reads the pairs that a run file names and encodes them with the tokenizer that
// make gives for their training part.
func ReadPairs(c data.Config, make func(training data.Part) (tokenizer.Tokenizer, error), encode EncodePairs) (*Pairs, tokenizer.Tokenizer, error) {
	if c.Mix != nil || c.Pack == data.PackStream || c.Overflow == data.Split {
		return nil, nil, fault.Usage(errors.New("preference.loss learns from pairs of answers: data.mix, data.pack stream and data.overflow split do not apply to them"))
	}
	c.Pairs = true
	corpus, err := data.Load(c)
	if err != nil {
		return nil, nil, fault.BadInput(err)
	}
	tok, err := make(corpus.Train)
	if err != nil {
		return nil, nil, fault.BadInput(err)
	}
	p := &Pairs{most: c.MaxLength, drop: c.Overflow == data.Drop}
	for i, part := range []data.Part{corpus.Train, corpus.Validation} {
		if p.all[i], err = encode(tok, part); err != nil {
			return nil, nil, fault.BadInput(err)
		}
	}
	p.Text = &Text{name: c.Path, training: p.all[0].Chosen(), validation: p.all[1].Chosen(), sum: p.all[0].Checksum(), entropy: math.NaN(), skipped: corpus.Train.Skipped, chats: true}
	return p, tok, nil
}

// fit cuts the pairs for sequences of context tokens.
func (p *Pairs) fit(context int) {
	if p.context == context {
		return
	}
	p.context = context
	for i, all := range p.all {
		p.fitted[i] = all.Fit(context, p.most, p.drop)
	}
}

// Fitted are the training and the validation part as they are cut for sequences of context
// tokens. Batches and Validation read them.
func (p *Pairs) Fitted(context int) (training, validation *data.Pairs) {
	p.fit(context)
	return p.fitted[0], p.fitted[1]
}

// Unit implements Workload.
func (p *Pairs) Unit() Unit { return Pair }

// Counts implements Workload.
func (p *Pairs) Counts() (training, validation int) { return p.all[0].Len(), p.all[1].Len() }

// Below reports the first id that is none of a vocabulary's.
func (p *Pairs) Below(vocab int) error {
	return errors.Join(p.all[0].Below(vocab), p.all[1].Below(vocab))
}

// Examples are the documents of the first n pairs of the training part, two each.
func (p *Pairs) Examples(n, _ int) ([]data.Example, error) { return p.all[0].Examples(n), nil }

// Packing says how the training part becomes sequences.
func (p *Pairs) Packing(context int) (data.Packing, error) {
	p.fit(context)
	return p.fitted[0].Packing(context), nil
}

// Sequences implements Workload.
func (p *Pairs) Sequences(context int) (int, error) {
	k, err := p.Packing(context)
	return max(2, k.Sequences), err
}

// Batches implements Workload.
func (p *Pairs) Batches(batch, context int, at data.Cursor) (Batches, error) {
	p.fit(context)
	b, err := data.NewPairBatches(p.fitted[0], batch, context, at)
	return b, fault.BadInput(err)
}

// Validation implements Workload. limit is tokens of answers.
func (p *Pairs) Validation(batch, context, limit int) iter.Seq2[data.Batch, error] {
	if p.fit(context); p.fitted[1].Len() == 0 {
		return nil
	}
	return data.PairWindows(p.fitted[1], batch, context, limit)
}
