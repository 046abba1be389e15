package tokenizer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// tiny is a tokenizer.json with the fields in place of its own.
func tiny(fields string) string {
	return `{"version":"1.0","added_tokens":[{"id":3,"content":"<s>","special":true}],"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},` + fields +
		`"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`
}

func TestRefuses(t *testing.T) {
	if _, err := Parse([]byte(tiny(""))); err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string]string{
		"unexpected end of JSON":         "",
		"model.type is \"WordLevel":      `{"model":{"type":"WordLevel","vocab":{}}}`,
		"model.type is \"\"":             `{"model":{"vocab":{}}}`,
		"Unigram model: ":                `{"model":{"type":"Unigram","vocab":{}}}`,
		"[piece, score]":                 `{"model":{"type":"Unigram","vocab":[["a"]]}}`,
		"unk_id is 3":                    `{"model":{"type":"Unigram","unk_id":3,"vocab":[["a",0]]}}`,
		"\"a\" twice":                    `{"model":{"type":"Unigram","vocab":[["a",0],["a",0]]}}`,
		"Unigram with a ByteLevel":       `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"Unigram","vocab":[["a",0]]}}`,
		"WordPiece with a ByteLevel":     `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"WordPiece","unk_token":"a","vocab":{"a":0}}}`,
		"WordPiece model: model.unk":     `{"model":{"type":"WordPiece","vocab":{"a":0}}}`,
		"sep is no list":                 `{"post_processor":{"type":"BertProcessing"},"model":{"type":"BPE","vocab":{"a":0}}}`,
		"behavior is":                    tiny(`"pre_tokenizer":{"type":"Punctuation","behavior":"x"},`),
		"delimiter is":                   tiny(`"pre_tokenizer":{"type":"CharDelimiterSplit","delimiter":"ab"},`),
		"a trie of":                      tiny(`"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="},`),
		"too short":                      tiny(`"normalizer":{"type":"Precompiled","precompiled_charsmap":"AA=="},`),
		"the only one":                   tiny(`"decoder":{"type":"Sequence","decoders":[{"type":"WordPiece"},{"type":"WordPiece"}]},`),
		"model.vocab":                    `{"model":{"type":"BPE"}}`,
		"id -1":                          `{"model":{"type":"BPE","vocab":{"a":-1}}}`,
		"2147483647":                     `{"model":{"type":"BPE","vocab":{"a":2147483647}}}`,
		"which another token has":        `{"model":{"type":"BPE","vocab":{"a":0,"b":0}}}`,
		"merge 0":                        `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`,
		"two tokens with a space":        `{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}`,
		"unk_token":                      `{"model":{"type":"BPE","vocab":{"a":0},"unk_token":"u"}}`,
		"dropout":                        `{"model":{"type":"BPE","vocab":{"a":0},"dropout":0.1}}`,
		"continuing_subword_prefix":      `{"model":{"type":"BPE","vocab":{"a":0},"continuing_subword_prefix":"##"}}`,
		`normalizer.type is "Nonsense`:   tiny(`"normalizer":{"type":"Nonsense"},`),
		"bytes, expected at most 64":     tiny(`"normalizer":{"type":"Prepend","prepend":"` + strings.Repeat("x", 99) + `"},`),
		"look-ahead is supported":        tiny(`"normalizer":{"type":"Replace","pattern":{"Regex":"a\\s+(?!\\S)|\\s+"},"content":"x"},`),
		"empty text":                     tiny(`"normalizer":{"type":"Replace","pattern":{"Regex":"a*"},"content":"x"},`),
		"special_tokens does not hold":   tiny(`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}},`),
		"outside the vocabulary of 4":    tiny(`"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"s":{"id":"s","ids":[9],"tokens":["s"]}}},`),
		"0 times":                        tiny(`"post_processor":{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}},`),
		"has id 3, but 0 in model.vocab": `{"added_tokens":[{"id":3,"content":"a"}],"model":{"type":"BPE","vocab":{"a":0}}}`,
		"is empty":                       `{"added_tokens":[{"id":1,"content":""}],"model":{"type":"BPE","vocab":{"a":0}}}`,
	} {
		_, err := Parse([]byte(text))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.120s: %v, expected one line with %q", text, err, want)
		}
	}
}

// What a training program leaves in the file stops nobody: truncation and padding are
// its settings, and a key that is not known is a warning.
func TestSettingsOfTrainingStopNobody(t *testing.T) {
	plain, err := Parse([]byte(tiny("")))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse([]byte(tiny(`"truncation":{"direction":"Right","max_length":1,"strategy":"LongestFirst","stride":0},"padding":{"strategy":{"Fixed":8},"pad_id":2},` +
		`"x_new":1,"normalizer":{"type":"NFC","level":2},`)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode(nil, []byte("abab<s>b")), plain.Encode(nil, []byte("abab<s>b")); !reflect.DeepEqual(got, want) || len(got) != 4 {
		t.Errorf("%v, expected %v", got, want)
	}
	warnings := strings.Join(Warnings(tok), "\n")
	if len(Warnings(tok)) != 2 || !strings.Contains(warnings, `"x_new"`) || !strings.Contains(warnings, `NFC: key "level"`) {
		t.Errorf("warnings %q, expected one about x_new and one about level of NFC", warnings)
	}
	if w := Warnings(plain); len(w) > 0 {
		t.Errorf("warnings %q about a plain file", w)
	}
}

// A vocabulary may be padded, or have an id that nothing has.
func TestIDsWithoutAToken(t *testing.T) {
	tok, err := Parse([]byte(`{"added_tokens":[{"id":5,"content":"<pad>","special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":3}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int32]bool{-1: false, 0: true, 1: false, 2: false, 3: true, 4: false, 5: true, 6: false} {
		if HasToken(tok, id) != want {
			t.Errorf("id %d: %v", id, !want)
		}
	}
	if HasToken(Bytes{}, 256) || !HasToken(Bytes{}, 255) {
		t.Error("the bytes are 256 tokens")
	}
	if b, err := tok.Decode(nil, []int32{1, 4}); err != nil || len(strings.TrimSpace(string(b))) != 0 {
		t.Errorf("ids without a token decode to %q (%v), expected nothing", b, err)
	}
}

// spPieces is a SentencePiece model of type BPE with byte fallback.
func spPieces(kind uint64, pieces ...string) []byte {
	var b []byte
	for i, p := range pieces {
		var m []byte
		m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), p)
		m = protowire.AppendFixed32(protowire.AppendTag(m, 2, protowire.Fixed32Type), 0)
		if i < 2 {
			m = protowire.AppendVarint(protowire.AppendTag(m, 3, protowire.VarintType), uint64(pieceUnknown+i))
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), m)
	}
	trainer := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), kind)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), trainer)
	normal := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 0)
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), normal)
}

func TestOpensEveryKindOfFile(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open := func(text string, want ...int32) Tokenizer {
		t.Helper()
		tok, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if ids := tok.Encode(nil, []byte(text)); !reflect.DeepEqual(ids, want) {
			t.Errorf("%q is %v, expected %v", text, ids, want)
		}
		if b, err := tok.Decode(nil, want); err != nil || string(b) != text {
			t.Errorf("%v decode to %q (%v), expected %q", want, b, err, text)
		}
		return tok
	}
	put("tokenizer.model", spPieces(2, "<unk>", "<s>", "▁", "a", "b", "▁a", "ab"))
	tok := open("a ab", 5, 5, 4)
	if front, back := tok.Template(); !reflect.DeepEqual(front, []int32{1}) || back != nil {
		t.Errorf("template %v, %v", front, back)
	}
	put("vocab.json", []byte(`{"a":0,"b":1,"ab":2,"<|endoftext|>":3,"Ġ":4}`))
	if _, err := Open(dir); err == nil {
		t.Error("vocab.json without merges.txt was opened")
	}
	put("merges.txt", []byte("#version: 0.2\na b\n"))
	if tok := open("ab a<|endoftext|>", 2, 4, 0, 3); tok.EOS() != 3 {
		t.Errorf("end of text is %d", tok.EOS())
	}
	put("tokenizer.json", []byte(tiny("")))
	open("aab<s>", 0, 2, 3)
	for name, bad := range map[string]string{"merges.txt": "a b c\n", "vocab.json": "[]"} {
		os.Remove(filepath.Join(dir, "tokenizer.json"))
		put(name, []byte(bad))
		if _, err := Open(dir); !errors.Is(err, ErrFormat) {
			t.Errorf("%s %q: %v", name, bad, err)
		}
	}
	for _, bad := range [][]byte{nil, {0xff}, spPieces(3, "<unk>", "<s>", "a"), spPieces(2, "<unk>", "<unk>"), spPieces(2, "<unk>", "<s>", "\xff")} {
		put("tokenizer.model", bad)
		if _, err := Open(filepath.Join(dir, "tokenizer.model")); !errors.Is(err, ErrFormat) {
			t.Errorf("model %q: %v", bad, err)
		}
	}
}

func TestParallelEncodesTheSame(t *testing.T) {
	bpe, err := Train([]byte(strings.Repeat(fable, 3)), 360)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat(fable, 4000))
	if len(cutWords(text, pieceBytes)) < 3 || !bpe.cuttable() {
		t.Fatal("the text is not cut")
	}
	if !reflect.DeepEqual(bpe.Encode(nil, text), bpe.EncodeParallel(nil, text, 3)) {
		t.Error("other ids")
	}
}

func FuzzSentencePiece(f *testing.F) {
	f.Add(spPieces(2, "<unk>", "<s>", "▁", "a", "▁a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, _, err := convertSentencePiece(b)
		if err != nil {
			return
		}
		text, err := write(file)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := Parse(text); err == nil {
			tok.Encode(nil, b)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	bpe, err := Train([]byte(strings.Repeat(fable, 3)), 360)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(fable))
	f.Add([]byte("\xff\xf0\x9f a\u0301"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if back, err := bpe.Decode(nil, bpe.Encode(nil, text)); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%q decodes to %q (%v)", text, back, err)
		}
	})
}

// TestLinksOutOfADirectoryAreRefused: a directory may come from a stranger.
func TestLinksOutOfADirectoryAreRefused(t *testing.T) {
	spec, err := Bytes{}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(secret, spec, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Dir(secret)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(secret, filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Skip("SKIPPED: the system makes no links: ", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("a link out: %v", err)
	}
}
