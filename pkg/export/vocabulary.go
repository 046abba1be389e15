package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// ErrTokenizer is returned when llama.cpp has no form for a tokenizer.
var ErrTokenizer = errors.New("export: GGUF cannot represent this tokenizer")

// vocabulary is a tokenizer as llama.cpp knows it.
type vocabulary struct {
	model    string // "gpt2" (byte-level BPE), "llama" (SentencePiece BPE), "t5" (unigram) or "bert" (WordPiece)
	pre      string // name of the pre-tokenizer
	tokens   []string
	types    []int32
	scores   []float32 // of SentencePiece
	merges   []string
	bos, eos int  // -1: none
	addBOS   bool // in front of every text
	addEOS   bool // behind it
	prefix   bool // SentencePiece: a space goes in front
	collapse bool // unigram: runs of spaces are one, those at the ends are none
	charsMap []byte
	eot      int    // a further end of a generated text, -1: none
	template string // the chat template
}

// Token types of llama.cpp.
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenUnused  = 5
	tokenByte    = 6
)

// tokenizerFile is what is read of a tokenizer.json.
type tokenizerFile struct {
	Added []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        struct {
		Type         string            `json:"type"`
		Unk          *string           `json:"unk_token"`
		UnkID        *int              `json:"unk_id"`
		Prefix       *string           `json:"continuing_subword_prefix"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Vocab        vocabIDs          `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
	} `json:"model"`
}

// vocabIDs are tokens and their ids: an object, or a unigram model's list of pieces with
// their scores.
type vocabIDs struct {
	ids    map[string]int
	scores []float32
}

// UnmarshalJSON reads either.
func (v *vocabIDs) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '[' {
		return json.Unmarshal(text, &v.ids)
	}
	var list [][]any
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	v.ids = make(map[string]int, len(list))
	for i, two := range list {
		if len(two) != 2 {
			return fmt.Errorf("piece %d has %d parts, expected 2", i, len(two))
		}
		s, okS := two[0].(string)
		score, ok := two[1].(float64)
		if !okS || !ok {
			return fmt.Errorf("piece %d is no text with a score", i)
		}
		v.ids[s] = i
		v.scores = append(v.scores, float32(score))
	}
	return nil
}

// parseVocabulary reads a tokenizer.json. bos and eos are ids, or -1; front and back
// are what goes around every text.
func parseVocabulary(text []byte, bos, eos int, front, back []int32) (*vocabulary, error) {
	var f tokenizerFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	v := &vocabulary{model: "gpt2", bos: bos, eos: eos, eot: -1}
	size := 0
	for _, id := range f.Model.Vocab.ids {
		size = max(size, id+1)
	}
	for _, a := range f.Added {
		size = max(size, a.ID+1)
	}
	if size > 2*(len(f.Model.Vocab.ids)+len(f.Added)) {
		return nil, fmt.Errorf("%w: ids up to %d for %d tokens", ErrTokenizer, size-1, len(f.Model.Vocab.ids)+len(f.Added))
	}
	v.tokens, v.types = make([]string, size), make([]int32, size)
	for s, id := range f.Model.Vocab.ids {
		if id < 0 {
			return nil, fmt.Errorf("%w: token %q has id %d", ErrTokenizer, s, id)
		}
		v.tokens[id], v.types[id] = s, tokenNormal
	}
	for _, a := range f.Added {
		if a.ID < 0 {
			return nil, fmt.Errorf("%w: token %q has id %d", ErrTokenizer, a.Content, a.ID)
		}
		v.tokens[a.ID], v.types[a.ID] = a.Content, tokenUser
		if a.Special {
			v.types[a.ID] = tokenControl
		}
	}
	if err := v.readMerges(f.Model.Merges); err != nil {
		return nil, err
	}
	v.fill(size)
	if err := v.around(front, back); err != nil {
		return nil, err
	}
	switch kind := f.Model.Type; {
	case kind == "Unigram":
		return v, v.unigram(&f)
	case kind == "WordPiece":
		return v, v.wordPiece(&f)
	case kind != "BPE":
		return nil, fmt.Errorf("%w: model.type is %q, expected BPE, Unigram or WordPiece", ErrTokenizer, kind)
	case f.Model.ByteFallback:
		return v, v.sentencePiece(&f)
	}
	if v.pre = tokenizer.PreTokenizer(f.PreTokenizer); v.pre == "" {
		return nil, fmt.Errorf("%w: pre_tokenizer %.120s is none of %s", ErrTokenizer, f.PreTokenizer, strings.Join(tokenizer.PreTokenizers(), ", "))
	}
	return v, nil
}

// readMerges reads "a b" strings, or ["a", "b"] lists.
func (v *vocabulary) readMerges(merges []json.RawMessage) error {
	for i, raw := range merges {
		var line string
		var two []string
		if json.Unmarshal(raw, &line) != nil {
			if err := json.Unmarshal(raw, &two); err != nil || len(two) != 2 {
				return fmt.Errorf("%w: merge %d is %.60s, expected two tokens", ErrTokenizer, i, raw)
			}
			line = two[0] + " " + two[1]
		}
		v.merges = append(v.merges, line)
	}
	return nil
}

// fill names ids that no token has, up to n.
func (v *vocabulary) fill(n int) {
	for id := 0; id < n; id++ {
		if id >= len(v.tokens) {
			v.tokens, v.types = append(v.tokens, ""), append(v.types, 0)
		}
		if v.types[id] == 0 {
			v.tokens[id], v.types[id] = fmt.Sprintf("[PAD%d]", id), tokenUnused
		}
	}
}

// sentencePiece: tokens carry scores instead of merges, the earlier merge the
// higher one.
func (v *vocabulary) sentencePiece(f *tokenizerFile) error {
	v.model, v.pre = "llama", "default"
	rank := map[string]int{}
	for i, m := range v.merges {
		token := strings.Replace(m, " ", "", 1)
		if _, ok := rank[token]; !ok {
			rank[token] = i + 1
		}
	}
	v.merges = nil
	v.scores = make([]float32, len(v.tokens))
	for id, s := range v.tokens {
		switch at, ok := rank[s]; {
		case v.types[id] != tokenNormal:
		case len(s) == 6 && strings.HasPrefix(s, "<0x") && s[5] == '>':
			v.types[id] = tokenByte
		case ok:
			v.scores[id] = -float32(at)
		default:
			v.scores[id] = -1e6 // a single character, which nothing merges into
		}
		if f.Model.Unk != nil && s == *f.Model.Unk {
			v.types[id] = tokenUnknown
		}
	}
	// A space in front comes from the normalizer, or from Metaspace.
	v.prefix = strings.Contains(string(f.Normalizer), `"Prepend"`) || strings.Contains(string(f.PreTokenizer), `"Metaspace"`) && !strings.Contains(string(f.PreTokenizer), `"never"`)
	return nil
}

// around notes the ids that go in front of a text and behind it: llama.cpp has words
// for one of each, the beginning and the end of a text.
func (v *vocabulary) around(front, back []int32) error {
	if len(front) > 1 || len(back) > 1 {
		return fmt.Errorf("%w: its post_processor puts %d tokens in front of a text and %d behind it, expected at most one of each", ErrTokenizer, len(front), len(back))
	}
	for _, id := range append(slices.Clone(front), back...) {
		if id < 0 || int(id) >= len(v.tokens) {
			return fmt.Errorf("%w: its post_processor holds id %d of %d", ErrTokenizer, id, len(v.tokens))
		}
	}
	if len(front) == 1 {
		v.bos, v.addBOS = int(front[0]), true
	}
	if len(back) == 1 {
		v.eos, v.addEOS = int(back[0]), true
	}
	return nil
}

// limit leaves out the added tokens beyond a model's n ids, which no text may hold.
func (v *vocabulary) limit(n int) error {
	if v.bos >= n || v.eos >= n || v.eot >= n {
		return fmt.Errorf("%w: the ids %d, %d and %d of the beginning and the ends of a text are not all below the model's %d", ErrTokenizer, v.bos, v.eos, v.eot, n)
	}
	if len(v.tokens) > n {
		v.tokens, v.types, v.scores = v.tokens[:n], v.types[:n], v.scores[:min(n, len(v.scores))]
	}
	return nil
}

// keys are the metadata for a model of n ids.
func (v *vocabulary) keys(n int) []gguf.KV {
	v.fill(n)
	kvs := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: v.model}, {Key: "tokenizer.ggml.pre", Value: v.pre},
		{Key: "tokenizer.ggml.tokens", Value: v.tokens}, {Key: "tokenizer.ggml.token_type", Value: v.types},
	}
	switch v.model {
	case "llama", "t5":
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.scores", Value: append(v.scores, make([]float32, len(v.tokens)-len(v.scores))...)},
			gguf.KV{Key: "tokenizer.ggml.add_space_prefix", Value: v.prefix})
	case "gpt2":
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.merges", Value: v.merges})
	}
	if v.model == "t5" {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.remove_extra_whitespaces", Value: v.collapse})
		if v.charsMap != nil {
			kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.precompiled_charsmap", Value: v.charsMap})
		}
	}
	if i := slices.Index(v.types, tokenUnknown); i >= 0 {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(i)})
	}
	if v.model == "bert" && v.eos >= 0 {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.seperator_token_id", Value: uint32(v.eos)}) // llama.cpp's spelling
	}
	if v.eot >= 0 {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.eot_token_id", Value: uint32(v.eot)})
	}
	if v.template != "" {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.chat_template", Value: v.template})
	}
	// Without ids llama.cpp takes its own defaults, which are ordinary tokens here;
	// the first token of a byte vocabulary is NUL, which no text has.
	if v.eos < 0 {
		v.eos = 0
	}
	if v.bos < 0 {
		v.bos = v.eos
	}
	return append(kvs,
		gguf.KV{Key: "tokenizer.ggml.bos_token_id", Value: uint32(v.bos)}, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: uint32(v.eos)},
		gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: v.addBOS}, gguf.KV{Key: "tokenizer.ggml.add_eos_token", Value: v.addEOS})
}
