package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ggufKeys reads the tokenizer's keys of a GGUF file.
type ggufKeys map[string]any

func (k ggufKeys) text(name string) string {
	s, _ := k["tokenizer."+name].(string)
	return s
}

// flag is a bool, or a default.
func (k ggufKeys) flag(name string, otherwise bool) bool {
	if b, ok := k["tokenizer.ggml."+name].(bool); ok {
		return b
	}
	return otherwise
}

// id is an id of n tokens, -1 where the key is missing or outside.
func (k ggufKeys) id(name string, n int) int32 {
	v := int64(-1)
	switch x := k["tokenizer.ggml."+name].(type) {
	case uint32:
		v = int64(x)
	case int32:
		v = int64(x)
	case uint64:
		v = int64(min(x, 1<<40))
	}
	if v < 0 || v >= int64(n) {
		return -1
	}
	return int32(v)
}

// FromGGUF makes the tokenizer that a GGUF file's keys describe: tokenizer.ggml.model
// gpt2 (byte-level BPE), llama (SentencePiece BPE), t5 (unigram) or bert (WordPiece),
// with its tokens, token_type, scores or merges, pre, and what goes around a text. Lists
// are []string, []int32 and []float32. Anything else is an ErrFormat that names the key.
func FromGGUF(keys map[string]any) (Tokenizer, error) {
	text, err := ggufFile(keys)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return Parse(text)
}

func ggufFile(k ggufKeys) ([]byte, error) {
	m := &spModel{escapeSpaces: true, normalizer: "identity", bos: -1}
	tokens, _ := k["tokenizer.ggml.tokens"].([]string)
	if len(tokens) == 0 {
		return nil, errors.New("tokenizer.ggml.tokens is missing")
	}
	types, _ := k["tokenizer.ggml.token_type"].([]int32)
	scores, _ := k["tokenizer.ggml.scores"].([]float32)
	for i, s := range tokens {
		p := spPiece{text: s, kind: pieceNormal}
		if len(types) == len(tokens) && types[i] > 0 {
			p.kind = uint64(types[i])
		}
		if len(scores) == len(tokens) {
			p.score = scores[i]
		}
		m.fallback = m.fallback || p.kind == pieceByte
		m.pieces = append(m.pieces, p)
	}
	var f *file
	var err error
	bos, eos := false, false // what goes around a text when the file says nothing
	switch kind := k.text("ggml.model"); kind {
	case "gpt2":
		f, bos, err = k.byteLevel(m.pieces)
	case "llama", "t5":
		m.kind, m.dummyPrefix = modelBPE, k.flag("add_space_prefix", true)
		if bos = kind == "llama"; kind == "t5" {
			m.kind, eos = modelUnigram, true
			m.charsMap = bytesOf(k["tokenizer.ggml.precompiled_charsmap"])
			m.removeSpaces = k.flag("remove_extra_whitespaces", false)
		}
		f, err = m.convert()
	case "bert":
		bos, eos = true, true
		f, err = k.wordPiece(m.pieces)
	default:
		return nil, fmt.Errorf("tokenizer.ggml.model is %.40q, expected gpt2, llama, t5 or bert", kind)
	}
	if err != nil {
		return nil, err
	}
	if err := k.around(f, tokens, bos, eos); err != nil {
		return nil, err
	}
	return write(f)
}

func bytesOf(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case []int8:
		out := make([]byte, len(v))
		for i, x := range v {
			out[i] = byte(x)
		}
		return out
	}
	return nil
}

// around writes what goes in front of a text and behind it.
func (k ggufKeys) around(f *file, tokens []string, bos, eos bool) error {
	var front, back []named
	add := func(to *[]named, flag, key string, otherwise bool) {
		id := k.id(key, len(tokens))
		if key == "eos_token_id" && k.text("ggml.model") == "bert" {
			if sep := k.id("seperator_token_id", len(tokens)); sep >= 0 {
				id = sep
			}
		}
		if k.flag(flag, otherwise) && id >= 0 {
			*to = append(*to, named{tokens[id], id})
		}
	}
	add(&front, "add_bos_token", "bos_token_id", bos)
	add(&back, "add_eos_token", "eos_token_id", eos)
	f.PostProcessor = null
	if len(front)+len(back) == 0 {
		return nil
	}
	var err error
	f.PostProcessor, err = template(front, back)
	return err
}

// added are the added tokens among pieces: control tokens are special.
func added(pieces []spPiece) []addedToken {
	var out []addedToken
	for id, p := range pieces {
		if p.kind == pieceControl || p.kind == pieceUnknown || p.kind == pieceUserDefined {
			out = append(out, addedToken{ID: int32(id), Content: p.text, Special: p.kind != pieceUserDefined})
		}
	}
	return out
}

// byteLevel is a BPE on bytes; bos is llama.cpp's default for its pre-tokenizer.
func (k ggufKeys) byteLevel(pieces []spPiece) (f *file, bos bool, err error) {
	pre := k.text("ggml.pre")
	at := slices.IndexFunc(families, func(f family) bool { return f.name == pre })
	if pre == "" || pre == "default" || pre == "gpt2" {
		at = 0
	}
	if at < 0 {
		return nil, false, fmt.Errorf("tokenizer.ggml.pre is %.40q, expected one of %s", pre, strings.Join(PreTokenizers(), ", "))
	}
	merges, _ := k["tokenizer.ggml.merges"].([]string)
	m := make(mergeList, len(merges))
	for i, line := range merges {
		a, b, ok := strings.Cut(line, " ")
		if !ok {
			return nil, false, fmt.Errorf("tokenizer.ggml.merges[%d] is %.40q, expected two tokens with a space between", i, line)
		}
		m[i] = [2]string{a, b}
	}
	v := tokenIDs{}
	for id, p := range pieces {
		if p.kind == pieceNormal {
			v[p.text] = int32(id)
		}
	}
	family := families[at]
	f = byteLevelFile(v, m, added(pieces))
	f.Model = rawJSON(fileBPE{Type: "BPE", IgnoreMerges: family.ignore, Vocab: v, Merges: m})
	f.split(family)
	return f, family.addBOS, nil
}

// wordPiece is BERT's pipeline; llama.cpp marks tokens that begin a word.
func (k ggufKeys) wordPiece(pieces []spPiece) (*file, error) {
	v, unk := tokenIDs{}, ""
	all := added(pieces)
	for id, p := range pieces {
		if p.kind == pieceUnused {
			continue
		}
		s, begins := strings.CutPrefix(p.text, spaceMark)
		switch {
		case p.kind == pieceUnknown || unk == "" && p.text == "[UNK]":
			s, unk = p.text, p.text
		case p.kind != pieceNormal:
			s = p.text
		case !begins:
			s = "##" + s
		}
		v[s] = int32(id)
	}
	if unk == "" {
		return nil, errors.New("tokenizer.ggml.tokens has no unknown token")
	}
	return &file{
		Version: "1.0", Truncation: null, Padding: null, PostProcessor: null, AddedTokens: all,
		Normalizer:   []byte(`{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`),
		PreTokenizer: []byte(`{"type":"BertPreTokenizer"}`), Decoder: []byte(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		Model: rawJSON(fileWordPiece{Type: "WordPiece", Unk: unk, Vocab: v}),
	}, nil
}
