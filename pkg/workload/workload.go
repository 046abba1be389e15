package workload

import (
	"fmt"
	"iter"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// Unit is what is predicted and counted.
type Unit string

// Units.
const (
	Token Unit = "token"
	Image Unit = "image"
	// OneText is a text as a whole, of which an encoder makes a vector.
	OneText Unit = "text"
	// Pair is a prompt with a chosen and a rejected answer.
	Pair Unit = "pair"
)

// Workload is text or images.
type Workload interface {
	// Unit is what losses are a mean over and what limits count.
	Unit() Unit
	// Counts are the units of the training and of the validation part.
	Counts() (training, validation int)
	// Bytes is the length of the validation part's text; 0 where that is not known.
	Bytes() int
	// Floor is the validation part's own entropy in nats a token, where it is known; else NaN.
	Floor() float64
	// Checksum is that of the training part.
	Checksum() uint32
	// Context is the tokens of a sequence for a model: those that are asked for, or as
	// many as the model has, at most limit (0: no limit), when asked is 0. Images decide
	// by themselves. It fails when the model cannot take so many.
	Context(m model.Model, asked, limit int) (int, error)
	// Sequences is the number of sequences, or images, of a pass over the training part.
	Sequences(context int) (int, error)
	// Batches yields the training part without end, from a place in the order that its
	// seed decides.
	Batches(batch, context int, at data.Cursor) (Batches, error)
	// Validation is the validation part from its beginning, batch sequences at a time,
	// limit units at most (0: all); nil where there is none.
	Validation(batch, context, limit int) iter.Seq2[data.Batch, error]
	// Calibration is n sequences of the training part, spread by a seeded choice; all of
	// them where there are fewer.
	Calibration(n, context int, seed uint64) (prune.Sequences, error)
	// Evaluate measures a model on the validation part. The result says over how many
	// units.
	Evaluate(on prune.Subject, o EvalOptions) (train.Evaluation, error)
}

// Batches is where training batches come from, and how to go back to one.
type Batches interface {
	train.Batches
	Seek(data.Cursor) error
	Cursor() data.Cursor
}

// EvalOptions says how a workload is evaluated.
type EvalOptions struct {
	Batch   int // sequences at a time; 0 is as many as make about 4096 tokens
	Context int // tokens of a sequence, from Context; images ignore it
	Limit   int // units at most, from the front; 0 is all
	// Progress is called after every batch: tokens (padding included), or images, that have
	// been read, and all of them; may be nil.
	Progress func(done, of int64)
}

// progress is Progress of an evaluation of so many sequences, for an evaluator.
func (o EvalOptions) progress(sequences int) func(int64) {
	if o.Progress == nil {
		return nil
	}
	of := int64(o.Context) * int64((o.limited(sequences)+o.Batch-1)/o.Batch*o.Batch)
	return func(done int64) { o.Progress(done, max(done, of)) }
}

// limited is how many of all sequences make Limit tokens, where none is shorter than Context.
func (o EvalOptions) limited(sequences int) int {
	if o.Limit > 0 {
		return min(sequences, (o.Limit+o.Context-1)/o.Context)
	}
	return sequences
}

// defaultBatch is Batch where nobody says: a batch is run whole, so that it is not larger than what a
// rank is to read of all sequences.
func (o EvalOptions) defaultBatch(sequences, ranks int) int {
	return max(1, min(evalTokens/o.Context, (o.limited(sequences)+ranks-1)/ranks))
}

// evalTokens is about how many tokens run at a time when nobody says.
const evalTokens = 4096

// Source names data for a model that is there already.
type Source struct {
	Path string // a file, a folder or a glob of text; a folder of class folders, a CSV or an IDX file of images
	data.Options
	Drawn Drawn   // how much of a model, where Path is Parent
	Held  float64 // share for the validation part, of text the last, of images drawn by Seed; 0: both parts are all of it
	Seed  uint64
}

// Open reads data for the model of a bundle.
func Open(b *bundle.Bundle, s Source) (Workload, error) {
	if c, ok := b.Model.(model.Classifier); ok {
		return openImages(c, s)
	}
	if _, ok := b.Model.(model.Encoder); ok {
		return openEncoder(b, s)
	}
	if err := b.Text(); err != nil {
		return nil, err
	}
	if s.Path == Parent {
		return openParent(b, s)
	}
	return openText(b, s)
}

// check holds the tokens of a sequence against the model.
func check(m model.Model, context int) error {
	if context < 1 || context > m.Context() {
		return fault.Usage(fmt.Errorf("a sequence has %d tokens, the model's context is %d", context, m.Context()))
	}
	return nil
}
