package tokenizer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

const fable = `The fox saw the crow. The crow had cheese, and the fox wanted the cheese!
"You're the finest crow," said the fox; "sing, and I'll listen." The crow's beak opened...  the cheese fell.
In 1690 there were 12 foxes —  ünïcödé, 中文, 🦊🦊.

	Tabs	and   spaces   `

func TestPretokens(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello world":    {"Hello", " world"},
		"I'll go, don't": {"I", "'ll", " go", ",", " don", "'t"},
		"a  b":           {"a", " ", " b"},
		"a \n b":         {"a", " \n", " b"},
		"x   ":           {"x", "   "},
		"12ab  !?":       {"12", "ab", " ", " !?"},
		"\n\nA":          {"\n", "\n", "A"},
		"é中 🦊":           {"é中", " 🦊"},
		" ":              {" "},
		"'sup '":         {"'s", "up", " '"},
		"a\xffb":         {"a", "\xff", "b"},
	} {
		var got []string
		for b := []byte(text); len(b) > 0; {
			n := scanGPT2(b)
			got = append(got, string(b[:n]))
			b = b[n:]
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q splits into %q, expected %q", text, got, want)
		}
	}
}

func TestTrainEncodesAndDecodes(t *testing.T) {
	bpe, err := Train([]byte(strings.Repeat(fable, 3)), 360)
	if err != nil {
		t.Fatal(err)
	}
	if bpe.Vocab() != 360 || bpe.EOS() != 359 {
		t.Fatalf("vocabulary %d, end of text %d", bpe.Vocab(), bpe.EOS())
	}
	ids := bpe.Encode(nil, []byte(fable))
	if len(ids) > len(fable)*2/3 {
		t.Errorf("%d ids for %d bytes: nothing was learned", len(ids), len(fable))
	}
	text, err := bpe.Decode(nil, ids)
	if err != nil || string(text) != fable {
		t.Errorf("decoded %q (%v)", text, err)
	}
	spec, err := bpe.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Encode(nil, []byte(fable)), ids) || again.EOS() != bpe.EOS() {
		t.Error("the tokenizer read back encodes differently")
	}
	spec2, _ := again.JSON()
	if !bytes.Equal(spec, spec2) {
		t.Error("tokenizer.json changes on the way")
	}
}

// slowTrain is the textbook algorithm: count all pairs anew for every merge.
func slowTrain(text string, merges int) []pair {
	var words [][]int32
	for b := []byte(text); len(b) > 0; {
		n := scanGPT2(b)
		var w []int32
		for _, c := range b[:n] {
			w = append(w, int32(c))
		}
		words, b = append(words, w), b[n:]
	}
	var out []pair
	for len(out) < merges {
		counts := map[pair]int{}
		for _, w := range words {
			for i := range len(w) - 1 {
				counts[pair{w[i], w[i+1]}]++
			}
		}
		var best pair
		n := 0
		for p, c := range counts {
			if c > n || c == n && (p.a < best.a || p.a == best.a && p.b < best.b) {
				best, n = p, c
			}
		}
		id := int32(256 + len(out))
		out = append(out, best)
		for k, w := range words {
			var v []int32
			for i := 0; i < len(w); i++ {
				if i+1 < len(w) && w[i] == best.a && w[i+1] == best.b {
					v = append(v, id)
					i++
				} else {
					v = append(v, w[i])
				}
			}
			words[k] = v
		}
	}
	return out
}

func TestTrainEqualsSlow(t *testing.T) {
	text := strings.Repeat(fable, 2) + "aaaa aaaaa aaab abab"
	bpe, err := Train([]byte(text), 257+100)
	if err != nil {
		t.Fatal(err)
	}
	for rank, p := range slowTrain(text, 100) {
		if m := bpe.model.(*merger).merges.get(p.a, p.b); m == noMerge || int(m>>32) != rank {
			t.Fatalf("merge %d should be %v", rank, p)
		}
	}
}

func TestLongPretokens(t *testing.T) {
	bpe, err := Train([]byte(strings.Repeat(fable, 3)), 360)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		var w []byte
		for range 200 {
			w = append(w, "thefoxcrwns"[rng.IntN(11)])
		}
		short := bpe.model.(*merger).symbols(nil, w)
		long := bpe.model.(*merger).mergeLong(short)
		short = short[:bpe.model.(*merger).merge(&encoder{}, short)]
		if !reflect.DeepEqual(short, long) {
			t.Fatalf("%q: %v and %v", w, short, long)
		}
	}
}

func TestStreamHoldsPartsOfCharacters(t *testing.T) {
	s := NewStream(Bytes{})
	var got []string
	for _, id := range (Bytes{}).Encode(nil, []byte("aé🦊")) {
		text, err := s.Next(id)
		if err != nil {
			t.Fatal(err)
		}
		if text != "" {
			got = append(got, text)
		}
	}
	if !reflect.DeepEqual(got, []string{"a", "é", "🦊"}) {
		t.Errorf("got %q", got)
	}
}

func TestBytesJSON(t *testing.T) {
	spec, err := Bytes{}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(spec)
	if _, ok := back.(Bytes); err != nil || !ok {
		t.Errorf("read back %T (%v)", back, err)
	}
}

func FuzzParse(f *testing.F) {
	spec, _ := Bytes{}.JSON()
	f.Add(spec)
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":5}}}`))
	f.Add([]byte(tiny("")))
	f.Add([]byte(tiny(`"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"x"}]},`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if tok, err := Parse(text); err == nil {
			tok.Encode(nil, text)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	text := []byte(strings.Repeat(fable, 200))
	if shared, err := os.ReadFile("../../../shared/data/text/wikitext2.valid.txt"); err == nil {
		text = shared
	}
	bpe, err := Train(text, 4096)
	if err != nil {
		bpe, err = Train(text, 360)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	var ids []int32
	for b.Loop() {
		ids = bpe.Encode(ids[:0], text)
	}
}
