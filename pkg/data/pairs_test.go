package data

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// pairsOf reads and encodes a file of pairs.
func pairsOf(t *testing.T, path string) (*Pairs, Part) {
	t.Helper()
	part, err := Read(path, Options{Pairs: true})
	if err != nil {
		t.Fatal(err)
	}
	part.Template = chatML(t)
	p, err := EncodePairs(tokenizer.Bytes{}, part)
	if err != nil {
		t.Fatal(err)
	}
	return p, part
}

// learned is the text of a document that is predicted.
func learned(t Tokens) string {
	var b []byte
	for _, id := range t {
		if id >= 0 {
			b = append(b, byte(id))
		}
	}
	return string(b)
}

// TestPairFiles: pairs are read from every kind of file with records, and of each document
// exactly the answer is predicted.
func TestPairFiles(t *testing.T) {
	type message struct {
		Role    string `parquet:"role"`
		Content string `parquet:"content"`
	}
	rows := filepath.Join(t.TempDir(), "x.parquet")
	if err := parquet.WriteFile(rows, []struct {
		Prompt   string    `parquet:"prompt"`
		Chosen   []message `parquet:"chosen,list"`
		Rejected []message `parquet:"rejected,list"`
	}{{"Hi", []message{{"user", "Hi"}, {"assistant", "Yes."}}, []message{{"user", "Hi"}, {"assistant", "No."}}}}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		put(t, "a.jsonl", `{"prompt":"Hi","chosen":"Yes.","rejected":"No."}`+"\n"+`{"prompt":"Hi","chosen":"Yes.","rejected":"Yes."}`+"\n"),
		put(t, "b.json", `[{"question":"Hi","chosen":"Yes.","rejected":"No."}]`),
		put(t, "c.csv", "prompt,chosen,rejected\nHi,Yes.,No.\n"),
		put(t, "d.csv", "chosen,rejected\n"+`"[{""role"":""user"",""content"":""Hi""},{""role"":""assistant"",""content"":""Yes.""}]","[{""role"":""user"",""content"":""Hi""},{""role"":""assistant"",""content"":""No.""}]"`+"\n"),
		rows,
	} {
		p, _ := pairsOf(t, path)
		if p.Len() != 1 || learned(p.document(0)) != "Yes.<|im_end|>" || learned(p.document(1)) != "No.<|im_end|>" {
			t.Errorf("%s: %d pairs", filepath.Base(path), p.Len())
		}
	}
	for want, path := range map[string]string{
		"expected the keys chosen and rejected": put(t, "e.jsonl", `{"prompt":"Hi","chosen":"Yes."}`),
		"it holds no records":                   put(t, "f.txt", "Hi"),
		"two different answers":                 put(t, "g.jsonl", `{"prompt":"Hi","chosen":"Yes.","rejected":"Yes."}`),
	} {
		if _, err := Read(path, Options{Pairs: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	if _, err := Read(put(t, "h.jsonl", `{"prompt":"Hi","chosen":"Yes.","rejected":"No."}`), Options{}); err == nil || !strings.Contains(err.Error(), "preference.loss") {
		t.Errorf("pairs that are read as text: %v", err)
	}
}

// TestPairBatches: sequences lie two and two with the same pairs at the same columns, every pair
// comes once a pass, and the windows have all of them in order.
func TestPairBatches(t *testing.T) {
	var text strings.Builder
	for i := range 15 {
		text.WriteString(`{"prompt":"` + strings.Repeat("x", i) + `","chosen":"` + strings.Repeat("y", 1+3*i%7) + `","rejected":"` + strings.Repeat("z", 1+5*i%11) + `"}` + "\n")
	}
	p, _ := pairsOf(t, put(t, "a.jsonl", text.String()))
	const context = 160
	p = p.Fit(context, 0, false)
	for d := range p.ends {
		p.Reference = append(p.Reference, float64(-1-d))
	}
	batches, err := NewPairBatches(p, 2, context, Cursor{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	look := func(b Batch) {
		for lo := 0; lo < len(b.IDs); lo += 2 * context {
			for side := range 2 {
				for i := range context {
					k := lo + side*context + i
					if (b.Targets[k] >= 0) != (b.Pairs[k] >= 0) || b.Pairs[k] >= 0 && b.Pairs[k] != b.Starts[k] {
						t.Fatalf("token %d has target %d, pair %d, document from %d", i, b.Targets[k], b.Pairs[k], b.Starts[k])
					}
					if int(b.Starts[k]) != i || b.Reference[k] == 0 { // no document, or one that fills up
						continue
					}
					d := int(b.Documents[k])
					n := len(p.document(d)) - 1
					if d%2 != side || b.Reference[k] != float32(-1-d) || !slices.Equal(b.IDs[k:k+n], p.document(d).IDs(0, n)) {
						t.Fatalf("document %d at column %d of sequence %d has the reference %g", d, i, lo/context+side, b.Reference[k])
					}
					seen = append(seen, d)
				}
			}
		}
	}
	for pass := range 2 {
		seen = nil
		for len(seen) < 30 {
			b, err := batches.Next()
			if err != nil {
				t.Fatal(err)
			}
			if b.Count() == 0 {
				t.Fatal("a batch without pairs")
			}
			look(b)
		}
		slices.Sort(seen)
		if want := len(slices.Compact(slices.Clone(seen))); want != 30 || len(seen) != 30 {
			t.Errorf("pass %d has %d documents, %d different ones", pass, len(seen), want)
		}
	}
	count := 0
	seen = nil
	for b, err := range PairWindows(p, 4, context, 0) {
		if err != nil {
			t.Fatal(err)
		}
		count += b.Count()
		look(b)
	}
	if count != 15 || len(seen) != 30 {
		t.Errorf("the windows have %d pairs, %d documents", count, len(seen))
	}
}

// TestPairsFit: prompts lose their beginning together, then answers their end.
func TestPairsFit(t *testing.T) {
	const b = begins
	p := &Pairs{}
	p.add(Tokens{^(1 | b), ^2, ^3, 4, 5})
	p.add(Tokens{^(1 | b), ^2, ^3, 6, 7, 8})
	p.add(Tokens{^(1 | b), 9})
	p.add(Tokens{^(1 | b), 8})
	for name, c := range map[string]struct {
		most            int
		drop            bool
		want            []Tokens
		short, leftOver int
	}{
		"fits":     {5, false, []Tokens{p.document(0), p.document(1), p.document(2), p.document(3)}, 0, 0},
		"prompt":   {4, false, []Tokens{{^(2 | b), ^3, 4, 5}, {^(2 | b), ^3, 6, 7, 8}, p.document(2), p.document(3)}, 1, 0},
		"answer":   {2, false, []Tokens{{^(3 | b), 4, 5}, {^(3 | b), 6, 7}, p.document(2), p.document(3)}, 1, 0},
		"left out": {4, true, []Tokens{p.document(2), p.document(3)}, 0, 1},
	} {
		got := p.Fit(100, c.most, c.drop)
		if got.Len()*2 != len(c.want) || got.Shortened != c.short || got.Dropped != c.leftOver {
			t.Errorf("%s: %d pairs, %d shortened, %d dropped", name, got.Len(), got.Shortened, got.Dropped)
			continue
		}
		for d := range c.want {
			if !slices.Equal(got.document(d), c.want[d]) {
				t.Errorf("%s: document %d is %d, expected %d", name, d, got.document(d), c.want[d])
			}
		}
	}
}
