package workload

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
)

// sameText is a source that is encoded with the vocabulary before a cut and with the one
// after it. Text that a decoder predicts is divided before it is encoded, so that both are
// measured on the same bytes, all of which they predict but those of a first token that
// nothing leads to. Encoders open the source as it is.
type sameText struct {
	source                   Source
	training, held, measured data.Part
	encoder                  bool
}

// readSame reads a source for the model of a bundle. What is measured is the front of the
// held-out part, at most limit tokens of the bundle's tokenizer; 0 is all.
func readSame(b *bundle.Bundle, s Source, limit int) (*sameText, error) {
	part, err := readPart(b, s)
	if err != nil {
		return nil, err
	}
	if part.Shards != nil {
		return nil, fault.Usage(fmt.Errorf("%s holds ids of the old vocabulary: to change the vocabulary, give text", s.Path))
	}
	t := &sameText{source: s, training: part, held: part}
	_, t.encoder = b.Model.(model.Encoder)
	if s.Held > 0 {
		t.training, t.held = part.Split(s.Held)
	}
	if t.measured = t.held; t.encoder || limit == 0 {
		return t, nil
	}
	return t, t.shorten(b, limit)
}

// shorten takes the front of what is measured until it has at most limit tokens.
func (t *sameText) shorten(b *bundle.Bundle, limit int) error {
	have := math.MaxInt
	for head := t.measured; ; {
		ids, err := encodePart(b, head, t.source.Path)
		if err != nil {
			return err
		}
		n := predicted(ids)
		if n < 1 || n >= have {
			return nil
		}
		if t.measured, have = head, n; n <= limit {
			return nil
		}
		head = head.Head(int(float64(head.Bytes()) * float64(limit) / float64(n)))
	}
}

// open encodes the source with the tokenizer of a bundle. perByte is how many tokens are
// predicted a byte of what is measured.
func (t *sameText) open(b *bundle.Bundle) (w Workload, perByte float64, err error) {
	measured, err := encodePart(b, t.measured, t.source.Path)
	if err != nil {
		return nil, 0, err
	}
	perByte = float64(predicted(measured)) / float64(max(1, t.measured.Bytes()))
	if t.encoder {
		w, err = Open(b, t.source)
		return w, perByte, err
	}
	training, err := encodePart(b, t.training, t.source.Path)
	if err != nil {
		return nil, 0, err
	}
	held, err := encodePart(b, t.held, t.source.Path)
	if err != nil {
		return nil, 0, err
	}
	text := &Text{name: t.source.Path, training: training, validation: held, sum: training.Checksum(), entropy: math.NaN(), skipped: t.training.Skipped, chats: t.training.Chats()}
	text.measured = &Text{name: t.source.Path, training: measured, validation: measured, entropy: math.NaN()}
	return text, perByte, text.checkLength()
}

// predicted is how many tokens of a text are predicted.
func predicted(ids data.Encoded) int {
	t := ids.(data.Tokens)
	if len(t) > 0 && !t.Separate() {
		t = t[1:] // nothing leads to the first token of a stream
	}
	return t.Predicted()
}
