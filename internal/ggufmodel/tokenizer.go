package ggufmodel

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ecospa/ecospa/internal/gguf"
)

// Token types of llama.cpp; SentencePiece's piece types are the same numbers.
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenUnused  = 5
)

// vocabulary is the tokenizer in a file's keys.
type vocabulary struct {
	f      *gguf.File
	tokens []string
	types  []int32
	scores []float32
}

// SentencePiece reports whether Tokenizer gives a SentencePiece model.
func SentencePiece(f *gguf.File) bool { return f.Keys["tokenizer.ggml.model"] == "llama" }

// Tokenizer is the tokenizer of a file: a tokenizer.json (byte-level BPE), or the bytes
// of a SentencePiece model (llama's). nil when the file has none.
func Tokenizer(f *gguf.File) ([]byte, error) {
	kind, ok := f.Keys["tokenizer.ggml.model"].(string)
	if !ok {
		return nil, nil
	}
	v := &vocabulary{f: f}
	v.tokens, _ = f.Keys["tokenizer.ggml.tokens"].([]string)
	v.types, _ = f.Keys["tokenizer.ggml.token_type"].([]int32)
	v.scores, _ = f.Keys["tokenizer.ggml.scores"].([]float32)
	n := len(v.tokens)
	if n == 0 || v.types != nil && len(v.types) != n || v.scores != nil && len(v.scores) != n {
		return nil, fmt.Errorf("%w: tokenizer.ggml has %d tokens, %d types and %d scores", gguf.ErrFormat, n, len(v.types), len(v.scores))
	}
	switch kind {
	case "gpt2":
		return v.byteLevel()
	case "llama":
		return v.sentencePiece(), nil
	}
	return nil, fmt.Errorf("%w: tokenizer.ggml.model is %.40q, expected gpt2 or llama", gguf.ErrFormat, kind)
}

func (v *vocabulary) kind(id int) int32 {
	if v.types == nil {
		return tokenNormal
	}
	return v.types[id]
}

// flag is a key's truth value, or its default.
func (v *vocabulary) flag(key string, or bool) bool {
	if b, ok := v.f.Keys["tokenizer.ggml."+key].(bool); ok {
		return b
	}
	return or
}

// ID is the token that a key names, -1 when it names none of the vocabulary.
func ID(f *gguf.File, key string) int {
	tokens, _ := f.Keys["tokenizer.ggml.tokens"].([]string)
	if id, ok := f.Keys["tokenizer.ggml."+key].(uint32); ok && int64(id) < int64(len(tokens)) {
		return int(id)
	}
	return -1
}

// Ends are the ids that end a text (eos), a turn (eot) or a message (eom).
func Ends(f *gguf.File) (ids []int) {
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if id := ID(f, key); id >= 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// sentencePiece writes the pieces as a ModelProto (sentencepiece_model.proto).
func (v *vocabulary) sentencePiece() []byte {
	var out []byte
	message := func(field protowire.Number, b []byte) {
		out = protowire.AppendBytes(protowire.AppendTag(out, field, protowire.BytesType), b)
	}
	number := func(b []byte, field protowire.Number, x uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), x)
	}
	truth := func(b []byte, field protowire.Number, x bool) []byte {
		return number(b, field, protowire.EncodeBool(x))
	}
	for id, text := range v.tokens {
		score := float32(0)
		if v.scores != nil {
			score = v.scores[id]
		}
		p := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte(text))
		p = protowire.AppendFixed32(protowire.AppendTag(p, 2, protowire.Fixed32Type), math.Float32bits(score))
		message(1, number(p, 3, uint64(v.kind(id))))
	}
	bos := -1
	if v.flag("add_bos_token", true) {
		bos = ID(v.f, "bos_token_id")
	}
	trainer := truth(number(nil, 3, 2), 35, true) // BPE, with bytes for what no piece covers
	message(2, number(trainer, 41, uint64(bos)))
	normal := truth(nil, 3, v.flag("add_space_prefix", true))
	message(3, truth(truth(normal, 4, v.flag("remove_extra_whitespaces", false)), 5, true))
	return out
}

// byteLevel writes a tokenizer.json.
func (v *vocabulary) byteLevel() ([]byte, error) {
	merges, _ := v.f.Keys["tokenizer.ggml.merges"].([]string)
	pre, _ := v.f.Keys["tokenizer.ggml.pre"].(string)
	split, err := preTokenizer(pre)
	if err != nil {
		return nil, err
	}
	type added struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	vocab, extra := map[string]int{}, []added{}
	for id, text := range v.tokens {
		switch k := v.kind(id); {
		case k == tokenUnused && strings.HasPrefix(text, "[PAD"): // a row that no token has
		case k == tokenControl || k == tokenUser || k == tokenUnknown:
			extra = append(extra, added{ID: id, Content: text, Special: k != tokenUser})
		default:
			vocab[text] = id
		}
	}
	file := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": extra, "normalizer": nil, "pre_tokenizer": split,
		"post_processor": v.around(), "decoder": map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": pre == "llama-bpe", "vocab": vocab, "merges": merges},
	}
	return json.Marshal(file)
}

// around is a post_processor that puts the beginning and the end of a text around it,
// where the file says so.
func (v *vocabulary) around() any {
	special, single := map[string]any{}, []any{}
	put := func(key string) {
		id := ID(v.f, key)
		if id < 0 {
			return
		}
		name := v.tokens[id]
		special[name] = map[string]any{"id": name, "ids": []int{id}, "tokens": []string{name}}
		single = append(single, map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": 0}})
	}
	if v.flag("add_bos_token", false) {
		put("bos_token_id")
	}
	single = append(single, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}})
	if v.flag("add_eos_token", false) {
		put("eos_token_id")
	}
	if len(special) == 0 {
		return nil
	}
	pair := append(append([]any{}, single...), map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}})
	return map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
}
