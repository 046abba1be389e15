package data

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// framed is Bytes within a template of ids that no text has.
type framed struct{ tokenizer.Bytes }

func (framed) Template() (front, back []int32) { return []int32{300}, []int32{301, 302} }

func framedTexts(t *testing.T, documents ...string) Texts {
	t.Helper()
	var p Part
	for _, d := range documents {
		p.Documents = append(p.Documents, []byte(d))
	}
	out, err := EncodeTexts(framed{}, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTexts: each document is within the template, a long one in stretches that all are, and
// an empty one is none.
func TestTexts(t *testing.T) {
	texts := framedTexts(t, "abcdefg", "", "xy", "pq")
	if texts.Len() != 3 || texts.Tokens() != 11 || texts.Longest() != 10 || texts.Sequences(7) != 4 {
		t.Errorf("%d texts, %d tokens, the longest %d, %d sequences", texts.Len(), texts.Tokens(), texts.Longest(), texts.Sequences(7))
	}
	front, last := texts.Split(0.3)
	if front.Len() != 1 || last.Len() != 2 || last.Longest() != 5 || last.Checksum() != framedTexts(t, "xy", "pq").Checksum() {
		t.Errorf("split into %d and %d, the longest of the second %d", front.Len(), last.Len(), last.Longest())
	}
	if texts.Checksum() == framedTexts(t, "abcdefgx", "ypq").Checksum() {
		t.Error("the checksum does not see where texts end")
	}
	for b, err := range TextWindows(last, 3, 7, 0) {
		want := Batch{
			N: 3, Targets: []int32{0, 0, -1},
			IDs:    []int32{300, 'x', 'y', 301, 302, 0, 0, 300, 'p', 'q', 301, 302, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			Starts: []int32{0, 0, 0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7}, Positions: []int32{0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		}
		if err != nil || !reflect.DeepEqual(b, want) {
			t.Errorf("%+v (%v), expected %+v", b, err, want)
		}
	}
	n := 0
	for range TextWindows(texts, 1, 7, 8) { // 7 tokens of the first, 5 of the second
		n++
	}
	if n != 2 {
		t.Errorf("%d texts until 8 tokens are read, expected 2", n)
	}
	if _, err := NewTextBatches(texts, 1, 3, Cursor{}); err == nil || !strings.Contains(err.Error(), "no room beside the 3") {
		t.Errorf("a sequence of the template alone: %v", err)
	}
	for _, p := range []Part{{Shards: &Shards{}}, {Documents: [][]byte{nil}, Prompts: [][]byte{nil}}} {
		if _, err := EncodeTexts(framed{}, p); !errors.Is(err, ErrFormat) {
			t.Errorf("what are no texts: %v", err)
		}
	}
	if _, err := NewMaskedBatches(framedTexts(t, ""), Masking{}, 1, 8, Cursor{}); err == nil {
		t.Error("no text was taken")
	}
}

// TestMaskingIsBERTs: 15 % of the tokens, none of the template, 80, 10 and 10 % of them; and
// every sequence has one.
func TestMaskingIsBERTs(t *testing.T) {
	var documents []string
	for range 400 {
		documents = append(documents, strings.Repeat("z", 97))
	}
	texts := framedTexts(t, documents...)
	m := Masking{Mask: 299, Vocab: 200}
	var all, hidden, random, same int
	for b, err := range MaskedWindows(texts, m, 7, 100, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range b.Targets {
			switch id := b.IDs[i]; {
			case want < 0:
			case want != 'z':
				t.Fatalf("target %d, expected what stood there", want)
			case id == m.Mask:
				hidden++
			case id == 'z':
				same++
			default:
				random++
			}
			if want >= 0 {
				all++
			} else if id := b.IDs[i]; id != 'z' && id != 300 && id != 301 && id != 302 && int(b.Starts[i]) < 100 {
				t.Fatalf("token %d stands where nothing is hidden", id)
			}
		}
	}
	share := func(n, of int) float64 { return float64(n) / float64(of) }
	if x := share(all, texts.Tokens()); x < 0.14 || x > 0.16 {
		t.Errorf("%.3f of the tokens are predicted", x)
	}
	if a, b, c := share(hidden, all), share(random, all), share(same, all); a < 0.78 || a > 0.82 || b < 0.085 || b > 0.115 || c < 0.085 || c > 0.115 {
		t.Errorf("%.3f hidden, %.3f random, %.3f as they are", a, b, c)
	}
	for b, err := range MaskedWindows(framedTexts(t, "a", "b", "c", "d"), m, 1, 4, 0) {
		if err != nil || b.Predicted() != 1 {
			t.Errorf("a text of one token has %d targets (%v)", b.Predicted(), err)
		}
	}
	predicted := 0
	for b := range MaskedWindows(texts, m, 3, 100, 50) {
		predicted += b.Predicted()
	}
	if predicted != 50 {
		t.Errorf("%d are predicted, the limit is 50", predicted)
	}
}

// TestEncoderBatchesResume: from any cursor the batches are those that followed it, over the
// end of a pass, and another seed gives others.
func TestEncoderBatchesResume(t *testing.T) {
	texts := framedTexts(t, "the first text", "a second, longer one than that", "3", "and a fourth")
	type source interface {
		Next() (Batch, error)
		Cursor() Cursor
		Seek(Cursor) error
	}
	for name, make := range map[string]func(seed uint64) (source, error){
		"masked": func(seed uint64) (source, error) {
			return NewMaskedBatches(texts, Masking{Mask: 299, Vocab: 200}, 2, 12, Cursor{Seed: seed})
		},
		"whole": func(seed uint64) (source, error) { return NewTextBatches(texts, 2, 12, Cursor{Seed: seed}) },
	} {
		t.Run(name, func(t *testing.T) {
			take := func(s source, n int) (out []int32) {
				for range n {
					b, err := s.Next()
					if err != nil {
						t.Fatal(err)
					}
					out = append(append(append(out, b.IDs...), b.Targets...), b.Starts...)
				}
				return out
			}
			a, err := make(5)
			if err != nil {
				t.Fatal(err)
			}
			take(a, 3)
			at := a.Cursor()
			want := take(a, 9)
			if a.Cursor().Epoch < 2 {
				t.Fatalf("%+v: the test needs more passes", a.Cursor())
			}
			b, _ := make(5)
			take(b, 7)
			if err := b.Seek(at); err != nil || !slices.Equal(take(b, 9), want) {
				t.Errorf("from the cursor %+v other batches follow (%v)", at, err)
			}
			if c, _ := make(6); slices.Equal(take(c, 12)[len(want)/3:], want) {
				t.Error("another seed gives the same")
			}
			if err := b.Seek(Cursor{Index: 99}); err == nil {
				t.Error("a cursor beyond the pass was taken")
			}
		})
	}
}
