package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"
)

// unigram is a unigram language model (Kudo, https://arxiv.org/abs/1804.10959): a
// text is cut into the pieces whose probabilities have the largest product.
type unigram struct {
	pieces trie
	scores []float64  // by id
	unk    int32      // id of characters that no piece holds, -1: they are dropped
	miss   float64    // score of such a character
	bytes  [256]int32 // fallback tokens
	all    bool       // each byte has one, and they are to be used
}

// unknownPenalty is how much less likely a character without a piece is than the
// least likely piece (SentencePiece's kUnkPenalty).
const unknownPenalty = 10

func parseUnigram(p *parser, raw json.RawMessage, byteLevel bool) (subwords, tokenIDs, error) {
	var f fileUnigram
	if err := p.read(raw, &f); err != nil {
		return nil, nil, err
	}
	if byteLevel {
		return nil, nil, fmt.Errorf("model.type is Unigram with a ByteLevel pre_tokenizer, which is not supported")
	}
	if f.UnkID != nil && (*f.UnkID < 0 || *f.UnkID >= len(f.Vocab)) {
		return nil, nil, fmt.Errorf("model.unk_id is %d of %d pieces", *f.UnkID, len(f.Vocab))
	}
	u := &unigram{unk: -1, scores: make([]float64, len(f.Vocab)), all: f.ByteFallback}
	if f.UnkID != nil {
		u.unk = int32(*f.UnkID)
	}
	ids, texts, low := make(tokenIDs, len(f.Vocab)), make([][]byte, len(f.Vocab)), math.Inf(1)
	for id, v := range f.Vocab {
		if _, twice := ids[v.Piece]; twice {
			return nil, nil, fmt.Errorf("model.vocab holds piece %q twice", v.Piece)
		}
		ids[v.Piece], texts[id], u.scores[id] = int32(id), []byte(v.Piece), v.Score
		low = min(low, v.Score)
	}
	u.miss = low - unknownPenalty
	for b := range u.bytes {
		id, ok := ids[fmt.Sprintf("<0x%02X>", b)]
		u.bytes[b] = id
		u.all = u.all && ok
	}
	var err error
	if u.pieces, err = newTrie(texts); err != nil {
		return nil, nil, fmt.Errorf("model.vocab: %w", err)
	}
	return u, ids, nil
}

// path is the best way to the end of a prefix of a word.
type path struct {
	score float64
	from  int32
	id    int32 // -1: a character without a piece
}

func (u *unigram) encode(e *encoder, dst []int32, word []byte) []int32 {
	best := e.paths[:0]
	for range len(word) + 1 {
		best = append(best, path{from: -1})
	}
	e.paths = best
	better := func(end, from int, score float64, id int32) {
		if b := &best[end]; b.from < 0 || score > b.score {
			*b = path{score, int32(from), id}
		}
	}
	for at := 0; at < len(word); {
		_, w := utf8.DecodeRune(word[at:])
		single, node := false, int32(0)
		for i := at; i < len(word); i++ {
			if node = u.pieces.step(node, word[i]); node < 0 {
				break
			}
			if id := u.pieces.token[node]; id >= 0 {
				better(i+1, at, best[at].score+u.scores[id], id)
				single = single || i+1-at == w
			}
		}
		if !single {
			better(at+w, at, best[at].score+u.miss, -1)
		}
		at += w
	}
	return u.trace(dst, best, word)
}

// trace appends the ids of the best path through word.
func (u *unigram) trace(dst []int32, best []path, word []byte) []int32 {
	start, unknown := len(dst), false
	for end := len(word); end > 0; end = int(best[end].from) {
		id, from := best[end].id, int(best[end].from)
		if id == u.unk {
			id = -1
		}
		switch {
		case id >= 0:
			dst = append(dst, id)
		case u.all:
			for i := end - 1; i >= from; i-- {
				dst = append(dst, u.bytes[word[i]])
			}
		case u.unk >= 0 && !unknown: // a run of them is one
			dst = append(dst, u.unk)
		}
		unknown = id < 0
	}
	for i, j := start, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

func (u *unigram) cut(text []byte) int { return len(text) }

func (u *unigram) separates() bool { return false }
