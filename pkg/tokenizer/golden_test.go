package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
)

// The file was written by scripts/interop/golden-tokenizers.mjs.
func TestEncodesAsHuggingFace(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts      []string
		Tokenizers []struct {
			Name, Like string
			Tokenizer  map[string]json.RawMessage // what is other than in the one that it is like
			IDs        [][]int32
			Decoded    []*string // nil: the text itself
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Texts) < 75 || len(golden.Tokenizers) < 14 {
		t.Errorf("%d texts and %d tokenizers in the file", len(golden.Texts), len(golden.Tokenizers))
	}
	files := map[string]map[string]json.RawMessage{}
	for _, g := range golden.Tokenizers {
		file := maps.Clone(files[g.Like])
		if file == nil {
			file = map[string]json.RawMessage{}
		}
		maps.Copy(file, g.Tokenizer)
		files[g.Name] = file
		text, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		if back, err := tok.JSON(); err != nil || string(back) != string(text) {
			t.Errorf("%s: written back differently (%v)", g.Name, err)
		}
		for i, text := range golden.Texts {
			if ids := tok.Encode([]int32{}, []byte(text)); !slices.Equal(ids, g.IDs[i]) {
				t.Errorf("%s: %q is %v, expected %v", g.Name, text, ids, g.IDs[i])
			}
			want := text
			if g.Decoded[i] != nil {
				want = *g.Decoded[i]
			}
			if b, err := tok.Decode(nil, g.IDs[i]); err != nil || string(b) != want {
				t.Errorf("%s: %v decode to %q (%v), expected %q", g.Name, g.IDs[i], b, err, want)
			}
		}
	}
}
