package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// found is the tokenizer of a directory with these files.
func found(t *testing.T, files map[string]string) (Tokenizer, error) {
	t.Helper()
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	text, _, err := Find(dir, "")
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// TestTokensBeside: tokens that were added to a vocabulary stand in files beside it, and are
// tokens of a tokenizer that is made of it.
func TestTokensBeside(t *testing.T) {
	sp := string(spPieces(2, "<unk>", "<s>", "▁", "a", "b", "▁a", "ab"))
	gpt2 := map[string]string{"vocab.json": `{"a":0,"b":1,"ab":2,"<|endoftext|>":3}`, "merges.txt": "#version: 0.2\na b\n"}
	for _, c := range []struct {
		name    string
		files   map[string]string
		special bool
		bad     string
	}{
		{"added_tokens.json", map[string]string{addedName: `{"<x>":7,"<s>":1}`}, false, ""},
		{"with a part", map[string]string{addedName: `{"<x>":7}`, specialName: `{"eos_token":{"content":"<x>","lstrip":false}}`}, true, ""},
		{"with one of several", map[string]string{addedName: `{"<x>":7}`, settingsName: `{"additional_special_tokens":["<y>","<x>"]}`}, true, ""},
		{"added_tokens_decoder", map[string]string{settingsName: `{"added_tokens_decoder":{"1":{"content":"<s>","special":true},"7":{"content":"<x>","special":true}}}`}, true, ""},
		{"both", map[string]string{addedName: `{"<x>":7}`, settingsName: `{"added_tokens_decoder":{"7":{"content":"<x>","special":true}}}`}, true, ""},
		{"a piece's id", map[string]string{addedName: `{"<x>":4}`}, false, `the added token "<x>" has the id 4, which is "b" in the vocabulary`},
		{"a piece by another id", map[string]string{addedName: `{"ab":7}`}, false, `the added token "ab" has the id 7, in the vocabulary 6`},
		{"one id twice", map[string]string{addedName: `{"<x>":7,"<y>":7}`}, false, `has the id 7`},
		{"no ids", map[string]string{settingsName: `{"added_tokens_decoder":{"x":{"content":"<x>"}}}`}, false, `the key "x", expected ids`},
		{"no object", map[string]string{addedName: `["<x>"]`}, false, addedName},
	} {
		c.files["tokenizer.model"] = sp
		tok, err := found(t, c.files)
		if c.bad != "" {
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, expected %q", c.name, err, c.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if ids := tok.Encode(nil, []byte("a <x>ab")); !slices.Contains(ids, 7) || tok.Vocab() != 8 {
			t.Errorf("%s: ids %v of %d", c.name, ids, tok.Vocab())
		}
		text, err := tok.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var f file
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		if last := f.AddedTokens[len(f.AddedTokens)-1]; last.Content != "<x>" || last.Special != c.special {
			t.Errorf("%s: %+v, expected special %t", c.name, last, c.special)
		}
	}
	gpt2[addedName] = `{"<x>":4}`
	tok, err := found(t, gpt2)
	if err != nil {
		t.Fatal(err)
	}
	if ids := tok.Encode(nil, []byte("ab<x>a")); !reflect.DeepEqual(ids, []int32{2, 4, 0}) {
		t.Errorf("GPT-2's files: %v", ids)
	}
}

// TestClassSplits: a byte-level vocabulary is used as its tokenizer_class splits texts.
func TestClassSplits(t *testing.T) {
	vocab := map[string]int{}
	for b := range 256 {
		vocab[spell([]byte{byte(b)})] = b
	}
	vocab["12"] = 256
	text, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	for class, want := range map[string][]int32{"GPT2Tokenizer": {256}, "Qwen2Tokenizer": {'1', '2'}, "Qwen2TokenizerFast": {'1', '2'}} {
		tok, err := found(t, map[string]string{"vocab.json": string(text), "merges.txt": "1 2\n", settingsName: `{"tokenizer_class":"` + class + `"}`})
		if err != nil {
			t.Fatal(err)
		}
		if ids := tok.Encode(nil, []byte("12")); !reflect.DeepEqual(ids, want) {
			t.Errorf("%s: %v, expected %v", class, ids, want)
		}
	}
}

// TestVocabTxt: BERT's vocab.txt is the tokenizer that the tokenizer.json of the same model is.
func TestVocabTxt(t *testing.T) {
	text, err := os.ReadFile("../../testdata/minilm/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	var w fileWordPiece
	if err := errors.Join(json.Unmarshal(text, &f), json.Unmarshal(f.Model, &w)); err != nil {
		t.Fatal(err)
	}
	vocab := make([]string, want.Vocab())
	for s, id := range w.Vocab {
		vocab[id] = s
	}
	for name, text := range map[string]string{"unix": strings.Join(vocab, "\n") + "\n", "windows": strings.Join(vocab, "\r\n")} {
		got, err := found(t, map[string]string{"vocab.txt": text, settingsName: `{"tokenizer_class":"BertTokenizer","do_lower_case":true}`})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"The CAT sat on a mat.", "Quick dogs, running!", "[CLS] fox [MASK]", "überfox 猫", ""} {
			if a, b := got.Encode(nil, []byte(s)), want.Encode(nil, []byte(s)); !slices.Equal(a, b) {
				t.Errorf("%s: %q is %v, expected %v", name, s, a, b)
			}
		}
		frontA, backA := got.Template()
		frontB, backB := want.Template()
		if !slices.Equal(frontA, frontB) || !slices.Equal(backA, backB) {
			t.Errorf("%s: within %v and %v, expected %v and %v", name, frontA, backA, frontB, backB)
		}
	}
	cased, err := found(t, map[string]string{"vocab.txt": "[UNK]\nThe\nthe\n", settingsName: `{"do_lower_case":false}`})
	if err != nil {
		t.Fatal(err)
	}
	if ids := cased.Encode(nil, []byte("The the THE")); !slices.Equal(ids, []int32{1, 2, 0}) {
		t.Errorf("cased: %v", ids)
	}
	for _, c := range []struct{ text, settings, want string }{
		{"a\nb\n", `{}`, "has no line [UNK]"},
		{"[UNK]\n\xff\n", `{}`, "line 2 is not UTF-8"},
		{"[UNK]\na\n", `{"tokenizer_class":"BertJapaneseTokenizer"}`, `tokenizer_class is "BertJapaneseTokenizer"`},
	} {
		if _, err := found(t, map[string]string{"vocab.txt": c.text, settingsName: c.settings}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, expected %q", c.text, err, c.want)
		}
	}
}
