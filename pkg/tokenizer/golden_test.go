package tokenizer

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// The file was written by scripts/interop/golden-tokenizers.mjs.
func TestEncodesAsHuggingFace(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Name      string
		Tokenizer json.RawMessage
		Encodings []struct {
			Text    string
			IDs     []int32
			Decoded string
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	encodings := 0
	for _, g := range golden {
		tok, err := Parse(g.Tokenizer)
		if err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		if back, err := tok.JSON(); err != nil || string(back) != string(g.Tokenizer) {
			t.Errorf("%s: written back differently (%v)", g.Name, err)
		}
		for _, e := range g.Encodings {
			encodings++
			ids := tok.Encode([]int32{}, []byte(e.Text))
			if !reflect.DeepEqual(ids, e.IDs) {
				t.Errorf("%s: %q is %v, expected %v", g.Name, e.Text, ids, e.IDs)
			}
			if b, err := tok.Decode(nil, e.IDs); err != nil || string(b) != e.Decoded {
				t.Errorf("%s: %v decode to %q (%v), expected %q", g.Name, e.IDs, b, err, e.Decoded)
			}
		}
	}
	if encodings < 300 {
		t.Errorf("%d encodings in the file, expected four times those of nasty.json", encodings)
	}
}
