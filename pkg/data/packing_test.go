package data

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// ended is a tokenizer of bytes whose documents end with id 300.
type ended struct{ tokenizer.Bytes }

func (ended) Vocab() int { return 301 }
func (ended) EOS() int32 { return 300 }

// TestDocumentsAreTold: where documents begin, with a template, with an end, with
// neither, and with a prompt; tokens of a stream are the same without the marks.
func TestDocumentsAreTold(t *testing.T) {
	docs := [][]byte{[]byte("ab"), []byte("c")}
	for name, c := range map[string]struct {
		tok     tokenizer.Tokenizer
		prompts [][]byte
		want    Tokens
	}{
		"template":          {templated{}, nil, Tokens{^(300 | begins), 'a', 'b', 301, ^(300 | begins), 'c', 301}},
		"end":               {ended{}, nil, Tokens{'a' | begins, 'b', 300 | begins, 'c', 300}},
		"neither":           {tokenizer.WithEnds(tokenizer.Bytes{}, -1, -1), nil, Tokens{'a' | begins, 'b', ^('c' | begins)}},
		"prompt, template":  {templated{}, [][]byte{[]byte("p"), nil}, Tokens{^(300 | begins), ^'p', 'a', 'b', 301, ^(300 | begins), 'c', 301}},
		"prompts, with end": {ended{}, [][]byte{[]byte("p"), []byte("q")}, Tokens{^('p' | begins), 'a', 'b', 300 | begins, ^'q', 'c', 300}},
	} {
		p := Part{Documents: docs, Prompts: c.prompts, Pack: PackDocuments}
		got, err := all(Encode(c.tok, p))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %d, expected %d (%v)", name, got, c.want, err)
		}
		p.Pack = PackStream
		stream, err := all(Encode(c.tok, p))
		if err != nil || stream.Separate() || !slices.Equal(stream.IDs(0, len(stream)), got.IDs(0, len(got))) {
			t.Errorf("%s: a stream of other tokens: %d (%v)", name, stream, err)
		}
		if name != "neither" && stream.Checksum() != got.Checksum() {
			t.Error("the checksum depends on where documents begin")
		}
	}
	ids, err := Read(write(t, "x.bin", "\x2c\x01\x01\x00\x02\x00\x2c\x01\x03\x00"), Options{Pack: PackDocuments})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := all(Encode(ended{}, ids)); err != nil || !reflect.DeepEqual(got, Tokens{300 | begins, 1, 2, 300 | begins, 3}) {
		t.Errorf("ids: %d (%v)", got, err)
	}
	if _, err := all(Encode(tokenizer.WithEnds(tokenizer.Bytes{}, -1, -1), ids)); err == nil {
		t.Error("ids are divided by a token that is not there")
	}
}

// boundary is a tokenizer whose tokens are words with the space in front of them, and in
// front of the first word a space that the text does not have: as SentencePiece's.
type boundary struct{ tokenizer.Bytes }

func (boundary) Encode(dst []int32, text []byte) []int32 {
	for _, w := range regexpWords(" " + string(text)) {
		dst = append(dst, int32(len(w)))
	}
	return dst
}

func regexpWords(s string) (out []string) {
	for len(s) > 0 {
		n := 1
		for n < len(s) && s[n] != ' ' {
			n++
		}
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

// TestPromptAndResponseAreOneText: no token stands in front of a response that the whole
// text does not have.
func TestPromptAndResponseAreOneText(t *testing.T) {
	p := Part{Documents: [][]byte{[]byte(" the hat")}, Prompts: [][]byte{[]byte("the cat?")}, Pack: PackStream}
	got, err := all(Encode(boundary{}, p))
	if err != nil || !reflect.DeepEqual(got, Tokens{^4, ^5, 4, 4}) {
		t.Errorf("%d (%v)", got, err)
	}
	// A response that belongs to the prompt's last token is learned with it.
	p.Prompts[0], p.Documents[0] = []byte("the c"), []byte("at")
	if got, err := all(Encode(boundary{}, p)); err != nil || !reflect.DeepEqual(got, Tokens{^4, 4}) {
		t.Errorf("%d (%v)", got, err)
	}
}

// corpus makes documents of the given lengths whose tokens are all different.
func corpus(lengths ...int) (t Tokens) {
	id := int32(0)
	for _, n := range lengths {
		for i := range n {
			x := id
			if i == 0 {
				x = ^(x | begins)
			}
			t = append(t, x)
			id++
		}
	}
	return t
}

// TestPackedWindowsPredictEveryTokenOnce: and every token sees its own document only,
// from its beginning or, of a long one, from that of its window.
func TestPackedWindowsPredictEveryTokenOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var lengths []int
		for range 1 + rng.IntN(20) {
			lengths = append(lengths, 1+rng.IntN(14))
		}
		lengths = append(lengths, 2)
		tokens, seen, want := corpus(lengths...), map[int32]int{}, 0
		for _, n := range lengths {
			want += n - 1
		}
		const context = 8
		for b := range Windows(tokens, 2, context, 0) {
			for i, target := range b.Targets {
				start, at := int(b.Starts[i]), i%context
				if start > at { // padding
					if target >= 0 || start != context {
						t.Fatalf("padding predicts %d, begins at %d", target, start)
					}
					continue
				}
				if target >= 0 {
					seen[target]++
					if b.IDs[i] != target-1 {
						t.Fatalf("%d is predicted from %d", target, b.IDs[i])
					}
				}
				first := b.IDs[i-at+start]
				if int(b.IDs[i]-first) != at-start || int(b.Positions[i]) != at-start {
					t.Fatalf("token %d at %d of a document that begins with %d at %d", b.IDs[i], at, first, start)
				}
				if !isBegin(tokens[first]) && !slices.Contains([]int32{context, 2 * context}, first-beginOf(tokens, first)) {
					t.Fatalf("a document is cut before its token %d", first-beginOf(tokens, first))
				}
			}
		}
		if len(seen) != want {
			t.Fatalf("%d tokens are predicted, expected %d", len(seen), want)
		}
		if p := packing(t, tokens, context); p.Learned != want || p.Sequences*context < p.Read {
			t.Errorf("%+v, expected %d learned", p, want)
		}
		n := 0
		for b := range Windows(tokens, 2, context, 5) {
			n += b.Predicted()
		}
		if n != min(5, want) {
			t.Errorf("%d tokens with a limit of 5", n)
		}
	}
}

func beginOf(t Tokens, at int32) int32 {
	for !isBegin(t[at]) {
		at--
	}
	return at
}

// TestBestFit: no document is cut that fits, and few sequences are needed.
func TestBestFit(t *testing.T) {
	tokens := corpus(6, 4, 3, 3, 9, 5) // 5, 3, 2, 2, 8, 4 are read
	if p := packing(t, tokens, 8); p.Sequences != 3 || p.Read != 24 || p.Documents != 6 || p.Longest != 8 {
		t.Errorf("%+v, expected 3 sequences without padding", p)
	}
}

// TestLongPromptsLoseTheirBeginning: the response stays whole where it fits.
func TestLongPromptsLoseTheirBeginning(t *testing.T) {
	tokens := corpus(12)
	for i := range 10 {
		if tokens[i] >= 0 {
			tokens[i] = ^tokens[i]
		}
	}
	p := packing(t, tokens, 4)
	if p.Cut != 1 || p.Sequences != 1 || p.Learned != 2 {
		t.Errorf("%+v, expected one sequence with a cut prompt", p)
	}
	for b := range Windows(tokens, 1, 4, 0) {
		if fmt.Sprint(b.IDs, b.Targets, b.Starts) != "[7 8 9 10] [-1 -1 10 11] [0 0 0 0]" {
			t.Errorf("%v", b)
		}
	}
	for i := range tokens {
		if tokens[i] >= 0 {
			tokens[i] = ^tokens[i]
		}
	}
	if _, err := NewBatches(tokens, 1, 4, Cursor{}); err == nil {
		t.Error("a corpus without anything to predict is accepted")
	}
}

// TestPackedBatchesCoverAndResume: a pass shows every token once, passes differ, and a
// cursor goes on as if nothing had happened. A run of before, whose cursor says nothing of
// documents, stays a stream.
func TestPackedBatchesCoverAndResume(t *testing.T) {
	var lengths []int
	for i := range 40 {
		lengths = append(lengths, 2+i%7)
	}
	tokens := corpus(lengths...)
	b, err := NewBatches(tokens, 3, 16, Cursor{Seed: 9})
	if err != nil || !b.Documents() {
		t.Fatal(err)
	}
	per := b.Sequences()
	seen := map[int32]bool{}
	var saved Cursor
	var after [][]int32
	for i := range per { // three passes
		if i == per/2 {
			saved = b.Cursor()
		}
		batch, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range batch.Targets {
			if target >= 0 && i < per/3 {
				if seen[target] {
					t.Fatalf("token %d is shown twice in a pass", target)
				}
				seen[target] = true
			}
		}
		if i >= per/2 {
			after = append(after, slices.Clone(batch.IDs))
		}
	}
	r, err := NewBatches(tokens, 3, 16, saved)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range after {
		if b, _ := r.Next(); !slices.Equal(b.IDs, want) {
			t.Fatalf("batch %d after the cursor is %v, expected %v", i, b.IDs, want)
		}
	}
	old, err := NewBatches(tokens, 3, 16, Cursor{Seed: 9, Index: 2})
	if err != nil || old.Documents() {
		t.Fatalf("a run of before is packed (%v)", err)
	}
	if b, err := old.Next(); err != nil || b.Packed() {
		t.Errorf("a run of before has packed batches (%v)", err)
	}
	stream := slices.Clone(tokens)
	for i := range stream {
		stream[i] = plain(stream[i])
	}
	if _, err := NewBatches(stream, 3, 16, saved); err == nil {
		t.Error("a run that was packed goes on with a stream")
	}
}

// TestEncodeApart: the tokens that versions before documents made. The prompt has its own
// encoding, and the end is that of the tokenizer's name, not that of the model's files.
func TestEncodeApart(t *testing.T) {
	p := Part{Pack: PackStream, Documents: [][]byte{[]byte("b"), []byte("d")}, Prompts: [][]byte{[]byte("a"), nil}}
	got, err := EncodeApart(tokenizer.WithEnds(ended{}, 7, -1), p)
	end := ended{}.EOS()
	if want := (Tokens{^'a', 'b', end, 'd', end}); err != nil || !slices.Equal(got.(Tokens), want) {
		t.Errorf("%v, expected %v (%v)", got, want, err)
	}
	one := Part{Documents: p.Documents[:1]}
	if got, err := EncodeApart(ended{}, one); err != nil || !slices.Equal(got.(Tokens), Tokens{'b'}) {
		t.Errorf("one document alone: %v (%v)", got, err)
	}
}
