package tokenizer

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
)

// Every kind of tokenizer is cut to the tokens of every second text: those texts have
// the same tokens as before under their new ids, and the others decode as before.
func TestKeep(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts      []string
		Tokenizers []struct {
			Name, Like string
			Tokenizer  map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	files := map[string]map[string]json.RawMessage{}
	for _, g := range golden.Tokenizers {
		file := maps.Clone(files[g.Like])
		if file == nil {
			file = map[string]json.RawMessage{}
		}
		maps.Copy(file, g.Tokenizer)
		files[g.Name] = file
		raw, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var keep []int32
		for i := 0; i < len(golden.Texts); i += 2 {
			keep = tok.Encode(keep, []byte(golden.Texts[i]))
		}
		out, renumbered, err := Keep(tok, keep)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		small, err := Parse(out)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		if small.Vocab() > tok.Vocab() || len(renumbered) != tok.Vocab() {
			t.Errorf("%s: %d of %d ids, renumbered %d", g.Name, small.Vocab(), tok.Vocab(), len(renumbered))
		}
		for i, s := range golden.Texts {
			was, is := tok.Encode(nil, []byte(s)), small.Encode(nil, []byte(s))
			if i%2 == 0 {
				for j, id := range was {
					was[j] = renumbered[id]
				}
				if !slices.Equal(was, is) {
					t.Errorf("%s: %q is %v, expected %v", g.Name, s, is, was)
				}
				continue
			}
			a, errA := tok.Decode(nil, was)
			b, errB := small.Decode(nil, is)
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("%s: %q decodes to %q (%v), before to %q (%v)", g.Name, s, b, errB, a, errA)
			}
		}
	}
	if _, _, err := Keep(Bytes{}, nil); !errors.Is(err, ErrKeep) {
		t.Errorf("bytes: %v", err)
	}
}

// Nothing but what the structure needs is left of a trained BPE; bytes and the end of
// text always are.
func TestKeepTheLeast(t *testing.T) {
	bpe, err := Train([]byte(fable+fable+fable), 300)
	if err != nil {
		t.Fatal(err)
	}
	out, renumbered, err := Keep(bpe, []int32{280})
	if err != nil {
		t.Fatal(err)
	}
	small, err := Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	if small.Vocab() < 258 || small.Vocab() > 270 || renumbered[280] < 0 || small.EOS() != renumbered[bpe.EOS()] {
		t.Errorf("%d ids, 280 is %d, the end %d", small.Vocab(), renumbered[280], small.EOS())
	}
	if b, err := small.Decode(nil, small.Encode(nil, []byte(fable))); err != nil || string(b) != fable {
		t.Errorf("%q (%v)", b, err)
	}
	if _, _, err := Keep(bpe, []int32{300}); !errors.Is(err, ErrKeep) {
		t.Errorf("an id outside: %v", err)
	}
}
