package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"unicode/utf8"

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

type spPiece struct {
	text  string
	score float32
	kind  uint64
}

// spModel is what is read of a ModelProto.
type spModel struct {
	pieces       []spPiece
	kind         uint64 // 1 unigram, 2 BPE, 3 word, 4 char
	fallback     bool
	suffix       bool // white space ends a word
	normalizer   string
	charsMap     int // bytes
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
		m.charsMap = len(b)
	case 3:
		m.dummyPrefix = v != 0
	case 4:
		m.removeSpaces = v != 0
	case 5:
		m.escapeSpaces = v != 0
	}
	return nil
}

// check refuses what a tokenizer.json made by convertSentencePiece cannot say.
func (m *spModel) check() error {
	switch {
	case len(m.pieces) == 0:
		return errors.New("not a SentencePiece model: no pieces")
	case m.kind != 2:
		names := map[uint64]string{1: "unigram", 3: "word", 4: "char"}
		return fmt.Errorf("a SentencePiece model of type %d (%s), expected 2 (bpe)", m.kind, names[m.kind])
	case m.suffix:
		return errors.New("trainer_spec.treat_whitespace_as_suffix is not supported")
	case m.charsMap > 0:
		return fmt.Errorf("normalizer_spec.precompiled_charsmap (%s) is not supported, expected identity", m.normalizer)
	case m.removeSpaces:
		return errors.New("normalizer_spec.remove_extra_whitespaces is not supported")
	case !m.escapeSpaces:
		return errors.New("normalizer_spec.escape_whitespaces is off, which is not supported")
	}
	return nil
}

// convertSentencePiece makes a tokenizer.json of a tokenizer.model of type BPE,
// the way Hugging Face's own converter lays it out for Llama: every way to make a
// piece of two others is a merge, in the order of the pieces' scores.
func convertSentencePiece(b []byte) ([]byte, error) {
	m, err := parseSentencePiece(b)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, err
	}
	v, unk := tokenIDs{}, ""
	var added []addedToken
	for id, p := range m.pieces {
		if _, twice := v[p.text]; twice || p.text == "" || !utf8.ValidString(p.text) {
			return nil, fmt.Errorf("piece %d is %q, which is empty, not UTF-8 or there twice", id, p.text)
		}
		v[p.text] = int32(id)
		switch p.kind {
		case pieceUnknown:
			unk = p.text
			added = append(added, addedToken{ID: int32(id), Content: p.text, Special: true})
		case pieceControl:
			added = append(added, addedToken{ID: int32(id), Content: p.text, Special: true})
		case pieceUserDefined:
			added = append(added, addedToken{ID: int32(id), Content: p.text})
		case pieceNormal, pieceByte:
		default:
			return nil, fmt.Errorf("piece %d, %q, has type %d, which is not supported", id, p.text, p.kind)
		}
	}
	f := &file{
		Version: "1.0", Truncation: null, Padding: null, PreTokenizer: null, PostProcessor: null, AddedTokens: added,
		Normalizer: json.RawMessage(`{"type":"Replace","pattern":{"String":" "},"content":"▁"}`),
		Decoder:    json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}`),
		Model:      fileModel{Type: "BPE", FuseUnk: true, ByteFallback: m.fallback, Vocab: v, Merges: m.merges(v)},
	}
	if unk != "" {
		f.Model.Unk = &unk
	}
	if m.dummyPrefix {
		f.Normalizer = json.RawMessage(`{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`)
		f.Decoder = json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`)
	}
	if m.bos >= 0 && m.bos < int64(len(m.pieces)) && m.pieces[m.bos].kind == pieceControl {
		if f.PostProcessor, err = template([]named{{m.pieces[m.bos].text, int32(m.bos)}}, nil); err != nil {
			return nil, err
		}
	}
	return write(f)
}

// merges lists every way to make a normal piece of two others. The higher score
// comes first; of the ways to make one piece, the one whose parts have the lower ids.
func (m *spModel) merges(v tokenIDs) mergeList {
	type merge struct {
		two   [2]string
		score float32
		ids   [2]int32
	}
	var all []merge
	part := func(s string) bool {
		id, ok := v[s]
		return ok && m.pieces[id].kind == pieceNormal
	}
	for _, p := range m.pieces {
		if p.kind != pieceNormal {
			continue
		}
		for i := range p.text { // every start of a character
			if a, b := p.text[:i], p.text[i:]; i > 0 && part(a) && part(b) {
				all = append(all, merge{[2]string{a, b}, p.score, [2]int32{v[a], v[b]}})
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		switch {
		case a.score != b.score:
			return a.score > b.score
		case v[a.two[0]+a.two[1]] != v[b.two[0]+b.two[1]]:
			return v[a.two[0]+a.two[1]] < v[b.two[0]+b.two[1]]
		case a.ids[0] != b.ids[0]:
			return a.ids[0] < b.ids[0]
		}
		return a.ids[1] < b.ids[1]
	})
	out := make(mergeList, len(all))
	for i := range all {
		out[i] = all[i].two
	}
	return out
}
