package export

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const byteLevelJSON = `{"added_tokens":[{"id":4,"content":"<|end|>","special":true},{"id":6,"content":"<tab>","special":false}],
"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"abb":3},"merges":["a b",["ab","b"]]}}`

const sentencePieceJSON = `{"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"\u2581"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]},
"model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"vocab":{"<unk>":0,"<s>":1,"<0x0A>":2,"a":3,"b":4,"ab":5,"aab":6},"merges":["a b","a ab"]}}`

func TestVocabulary(t *testing.T) {
	v, err := parseVocabulary([]byte(byteLevelJSON), -1, 4, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.keys(8)
	want := &vocabulary{
		model: "gpt2", pre: "gpt-2", bos: 4, eos: 4, eot: -1, merges: []string{"a b", "ab b"},
		tokens: []string{"a", "b", "ab", "abb", "<|end|>", "[PAD5]", "<tab>", "[PAD7]"},
		types:  []int32{tokenNormal, tokenNormal, tokenNormal, tokenNormal, tokenControl, tokenUnused, tokenUser, tokenUnused},
	}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got %+v, expected %+v", v, want)
	}
	v, err = parseVocabulary([]byte(sentencePieceJSON), -1, -1, []int32{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want = &vocabulary{
		model: "llama", pre: "default", bos: 1, eos: -1, eot: -1, addBOS: true, prefix: true,
		tokens: []string{"<unk>", "<s>", "<0x0A>", "a", "b", "ab", "aab"},
		types:  []int32{tokenUnknown, tokenControl, tokenByte, tokenNormal, tokenNormal, tokenNormal, tokenNormal},
		scores: []float32{0, 0, 0, -1e6, -1e6, -1, -2},
	}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got %+v, expected %+v", v, want)
	}
}

// What a post-processor puts around a text becomes llama.cpp's bos and eos, which are
// one token each; without one nothing is put there.
func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		front, back    []int32
		bos, eos       uint32
		addBOS, addEOS bool
	}{
		{nil, nil, 2, 4, false, false},
		{[]int32{6}, nil, 6, 4, true, false},
		{[]int32{6}, []int32{3}, 6, 3, true, true},
	} {
		v, err := parseVocabulary([]byte(byteLevelJSON), 2, 4, c.front, c.back)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for _, kv := range v.keys(8) {
			got[strings.TrimPrefix(kv.Key, "tokenizer.ggml.")] = kv.Value
		}
		for key, want := range map[string]any{"bos_token_id": c.bos, "eos_token_id": c.eos, "add_bos_token": c.addBOS, "add_eos_token": c.addEOS} {
			if got[key] != want {
				t.Errorf("front %v, back %v: %s is %v, expected %v", c.front, c.back, key, got[key], want)
			}
		}
	}
	for _, front := range [][]int32{{0, 1}, {7}, {-1}} {
		if _, err := parseVocabulary([]byte(byteLevelJSON), -1, -1, front, nil); !errors.Is(err, ErrTokenizer) {
			t.Errorf("front %v: %v", front, err)
		}
	}
}

func FuzzVocabulary(f *testing.F) {
	f.Add([]byte(byteLevelJSON))
	f.Add([]byte(sentencePieceJSON))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseVocabulary(b, -1, -1, nil, nil)
		if err != nil {
			return
		}
		if len(v.tokens) != len(v.types) || v.model == "llama" && len(v.scores) != len(v.tokens) {
			t.Fatalf("%d tokens, %d types, %d scores", len(v.tokens), len(v.types), len(v.scores))
		}
		v.keys(len(v.tokens) + 3)
	})
}
