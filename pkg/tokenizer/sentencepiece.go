package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kinds of pieces (sentencepiece_model.proto).
const (
	pieceNormal      = 1
	pieceUnknown     = 2
	pieceControl     = 3
	pieceUserDefined = 4
	pieceUnused      = 5
	pieceByte        = 6
)

// Kinds of models.
const (
	modelUnigram = 1
	modelBPE     = 2
)

type spPiece struct {
	text  string
	score float32
	kind  uint64
}

// spModel is what is read of a ModelProto.
type spModel struct {
	pieces       []spPiece
	kind         uint64 // modelUnigram, modelBPE, 3 word, 4 char
	fallback     bool
	suffix       bool // white space ends a word
	normalizer   string
	charsMap     []byte
	dummyPrefix  bool
	removeSpaces bool
	escapeSpaces bool
	bos          int64
}

// fields calls visit for each field of a message: v is the value of a number,
// or the bits of a float, b the content of a string or message.
func fields(b []byte, visit func(field protowire.Number, v uint64, b []byte) error) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("not a SentencePiece model: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var v uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(b)
			v = uint64(bits)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("not a SentencePiece model: field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := visit(num, v, content); err != nil {
			return err
		}
	}
	return nil
}

func parseSentencePiece(b []byte) (*spModel, error) {
	m := &spModel{kind: 1, dummyPrefix: true, removeSpaces: true, escapeSpaces: true, bos: 1}
	err := fields(b, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 1:
			p := spPiece{kind: pieceNormal}
			err := fields(b, func(field protowire.Number, v uint64, b []byte) error {
				switch field {
				case 1:
					p.text = string(b)
				case 2:
					p.score = math.Float32frombits(uint32(v))
				case 3:
					p.kind = v
				}
				return nil
			})
			m.pieces = append(m.pieces, p)
			return err
		case 2:
			return fields(b, m.trainer)
		case 3:
			return fields(b, m.normalization)
		}
		return nil
	})
	return m, err
}

func (m *spModel) trainer(field protowire.Number, v uint64, _ []byte) error {
	switch field {
	case 3:
		m.kind = v
	case 24:
		m.suffix = v != 0
	case 35:
		m.fallback = v != 0
	case 41:
		m.bos = int64(int32(v))
	}
	return nil
}

func (m *spModel) normalization(field protowire.Number, v uint64, b []byte) error {
	switch field {
	case 1:
		m.normalizer = string(b)
	case 2:
		m.charsMap = b
	case 3:
		m.dummyPrefix = v != 0
	case 4:
		m.removeSpaces = v != 0
	case 5:
		m.escapeSpaces = v != 0
	}
	return nil
}

// check refuses what a tokenizer.json made by convertSentencePiece cannot represent.
func (m *spModel) check() error {
	switch {
	case len(m.pieces) == 0:
		return errors.New("not a SentencePiece model: no pieces")
	case m.kind != modelBPE && m.kind != modelUnigram:
		names := map[uint64]string{3: "word", 4: "char"}
		return fmt.Errorf("a SentencePiece model of type %d (%s), expected 1 (unigram) or 2 (bpe)", m.kind, names[m.kind])
	case m.suffix:
		return errors.New("trainer_spec.treat_whitespace_as_suffix is not supported")
	case !m.escapeSpaces:
		return errors.New("normalizer_spec.escape_whitespaces is off, which is not supported")
	}
	return nil
}
