package tokenizer

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// convertSentencePiece makes a tokenizer.json of a tokenizer.model that gives the
// ids of SentencePiece itself. Of type BPE, it is laid out as Hugging Face's own
// converter does it for Llama: every way to make a piece of two others is a merge,
// in the order of the pieces' scores. Of type unigram, a user-defined symbol is a
// piece whose score always wins (unigram_model.cc).
func convertSentencePiece(b []byte) (*file, tokenIDs, error) {
	m, err := parseSentencePiece(b)
	if err != nil {
		return nil, nil, err
	}
	f, err := m.convert()
	if err != nil {
		return nil, nil, err
	}
	v := make(tokenIDs, len(m.pieces))
	for id, p := range m.pieces {
		v[p.text] = int32(id)
	}
	return f, v, nil
}

// convert makes the tokenizer.json of a model.
func (m *spModel) convert() (*file, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	f := &file{Version: "1.0", Truncation: null, Padding: null, PostProcessor: null, Normalizer: null, PreTokenizer: null}
	v, unk := tokenIDs{}, -1
	symbols := m.kind == modelBPE && (m.removeSpaces || m.dummyPrefix) && m.has(pieceUserDefined)
	for m.kind == modelUnigram && m.pieces[len(m.pieces)-1].kind == pieceUnused && len(m.pieces) > 1 {
		m.pieces = m.pieces[:len(m.pieces)-1] // a padded vocabulary
	}
	for id, p := range m.pieces {
		if p.kind == pieceUnused && m.kind == modelBPE {
			continue
		}
		if _, twice := v[p.text]; twice || p.text == "" || !utf8.ValidString(p.text) {
			return nil, fmt.Errorf("piece %d is %q, which is empty, not UTF-8 or there twice", id, p.text)
		}
		v[p.text] = int32(id)
		switch p.kind {
		case pieceUnknown:
			unk = id
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: int32(id), Content: p.text, Special: true})
		case pieceControl:
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: int32(id), Content: p.text, Special: true})
		case pieceUserDefined:
			if m.kind == modelBPE {
				f.AddedTokens = append(f.AddedTokens, addedToken{ID: int32(id), Content: p.text, Normalized: symbols})
			}
		case pieceNormal, pieceByte:
		default:
			return nil, fmt.Errorf("piece %d, %q, has type %d, which is not supported", id, p.text, p.kind)
		}
	}
	m.pipeline(f, symbols)
	if m.kind == modelUnigram {
		f.Model = m.unigram(unk)
		return f, nil
	}
	bpe := fileBPE{Type: "BPE", FuseUnk: true, ByteFallback: m.fallback, Vocab: v, Merges: m.merges(v)}
	if unk >= 0 {
		bpe.Unk = &m.pieces[unk].text
	}
	f.Model = rawJSON(bpe)
	var err error
	if m.bos >= 0 && m.bos < int64(len(m.pieces)) && m.pieces[m.bos].kind == pieceControl {
		f.PostProcessor, err = template([]named{{m.pieces[m.bos].text, int32(m.bos)}}, nil)
	}
	return f, err
}

func (m *spModel) has(kind uint64) bool {
	for _, p := range m.pieces {
		if p.kind == kind {
			return true
		}
	}
	return false
}

// pipeline lays out what stands around the model. With symbols, user-defined symbols
// are looked for in the normalized text, which is stripped as a whole, and the space
// in front of a text is left to a Metaspace, so that no symbol gets one; where a text
// begins with a symbol, SentencePiece has a lone mark in front of it.
func (m *spModel) pipeline(f *file, symbols bool) {
	part := func(kind, rest string) json.RawMessage { return json.RawMessage(`{"type":"` + kind + `"` + rest + `}`) }
	replace := func(kind, pattern, by string) json.RawMessage {
		return part("Replace", `,"pattern":{"`+kind+`":`+string(quote(nil, pattern))+`},"content":`+string(quote(nil, by)))
	}
	var norms []json.RawMessage
	if len(m.charsMap) > 0 {
		norms = append(norms, part("Precompiled", `,"precompiled_charsmap":`+string(rawJSON(m.charsMap))))
	}
	if m.removeSpaces {
		norms = append(norms, replace("Regex", `\A +`, ""), replace("Regex", ` +\z`, ""), replace("Regex", ` {2,}`, " "))
	}
	if m.dummyPrefix && symbols && !m.removeSpaces { // a Metaspace adds none to one that is there
		norms = append(norms, replace("Regex", `\A `, "▁▁"))
	}
	if m.dummyPrefix && !symbols {
		norms = append(norms, part("Prepend", `,"prepend":"▁"`))
	}
	norms = append(norms, replace("String", " ", spaceMark))
	f.Normalizer = norms[0]
	if len(norms) > 1 {
		f.Normalizer = part("Sequence", `,"normalizers":`+string(rawJSON(norms)))
	}
	decs := []json.RawMessage{replace("String", spaceMark, " "), part("ByteFallback", ""), part("Fuse", "")}
	if m.dummyPrefix {
		decs = append(decs, part("Strip", `,"content":" ","start":1,"stop":0`))
	}
	f.Decoder = part("Sequence", `,"decoders":`+string(rawJSON(decs)))
	switch {
	case symbols && m.dummyPrefix:
		f.PreTokenizer = part("Metaspace", `,"replacement":"▁","prepend_scheme":"first","split":false`)
	case m.kind == modelUnigram && m.wordwise():
		f.PreTokenizer = part("Metaspace", `,"replacement":"▁","prepend_scheme":"never","split":true`)
	}
}

// wordwise reports that no piece goes on from one word to the next, and that a lone
// mark is a piece: then a text can be cut before each mark.
func (m *spModel) wordwise() bool {
	alone := false
	for _, p := range m.pieces {
		if p.kind != pieceNormal && p.kind != pieceUserDefined {
			continue
		}
		if alone = alone || p.text == spaceMark; strings.Contains(strings.TrimPrefix(p.text, spaceMark), spaceMark) {
			return false
		}
	}
	return alone
}

// unigram is the model's section of a tokenizer.json.
func (m *spModel) unigram(unk int) json.RawMessage {
	u := fileUnigram{Type: "Unigram", ByteFallback: m.fallback, Vocab: make([]scoredPiece, len(m.pieces))}
	if unk >= 0 {
		u.UnkID = &unk
	}
	top := float32(0)
	for i, first := 0, true; i < len(m.pieces); i++ {
		if p := m.pieces[i]; p.kind == pieceNormal && (first || p.score > top) {
			top, first = p.score, false
		}
	}
	for id, p := range m.pieces {
		u.Vocab[id] = scoredPiece{p.text, float64(p.score)}
		if p.kind == pieceUserDefined {
			u.Vocab[id].Score = float64(float32(len(p.text))*top - 0.1)
		}
	}
	return rawJSON(u)
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
