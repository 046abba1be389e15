package workload

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

const fable = "A hungry fox saw some fine bunches of grapes hanging from a vine that was trained along a high trellis.\n"

// bpeModel is a model with a trained vocabulary of 300 ids.
func bpeModel(t *testing.T) *bundle.Bundle {
	t.Helper()
	b := drawn(t, model.Sizes{Family: "llama", Layers: 1, Width: 16, Heads: 2, KVHeads: 1, FFN: 16, Vocab: 300, Context: 32})
	bpe, err := tokenizer.Train([]byte(strings.Repeat(fable, 3)), 300)
	if err != nil {
		t.Fatal(err)
	}
	b.Tokenizer = bpe
	return b
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openSmaller(t *testing.T, v Vocabulary, b *bundle.Bundle, path string) (Workload, *prune.Vocabulary, *prune.Subject, error) {
	t.Helper()
	on := &prune.Subject{Model: b.Model, Set: b.Set, Pool: kernel.NewPool(1)}
	t.Cleanup(on.Close)
	w, cut, err := v.OpenSmaller(b, Source{Path: path, Held: 0.1}, on, EvalOptions{})
	return w, cut, on, err
}

// TestVocabularyOfText: what the text uses stays, so it is encoded to as many tokens.
func TestVocabularyOfText(t *testing.T) {
	b := bpeModel(t)
	path := textFile(t, strings.Repeat(fable, 20))
	used := textFile(t, strings.Repeat(fable[:50], 2))
	w, cut, on, err := openSmaller(t, Vocabulary{Path: path}, b, path)
	if err != nil {
		t.Fatal(err)
	}
	if cut.PerByte != cut.PerByteBefore || cut.PerByte <= 0 || cut.PerByte >= 1 || cut.IDsBefore != 300 || cut.IDs != b.Model.Vocab() || on.Model != b.Model {
		t.Errorf("%+v of a model with %d ids", cut, b.Model.Vocab())
	}
	e, err := w.Evaluate(*on, EvalOptions{Context: 32})
	if err != nil || e.Tokens != cut.Before.Tokens || cut.Before.Params != cut.Shapes.Count() || cut.Before.Params < b.Set.Count() {
		t.Errorf("%d tokens measured of %d parameters, before %+v (%v)", e.Tokens, b.Set.Count(), cut.Before, err)
	}
	// Of less text less stays, and the whole of it has more tokens.
	b = bpeModel(t)
	_, less, _, err := openSmaller(t, Vocabulary{Path: used}, b, path)
	if err != nil {
		t.Fatal(err)
	}
	if less.IDs >= cut.IDs || less.Before.Params <= b.Set.Count() || less.PerByte <= less.PerByteBefore {
		t.Errorf("%d ids by a part of the text, %d by all of it; %g tokens a byte, before %g", less.IDs, cut.IDs, less.PerByte, less.PerByteBefore)
	}
	if got := less.Limit(1000); math.Abs(float64(got)-1000*less.PerByte/less.PerByteBefore) > 1 || less.Limit(0) != 0 || (*prune.Vocabulary)(nil).Limit(7) != 7 {
		t.Errorf("1000 tokens are as much text as %d", got)
	}
}

// TestVocabularyMeasuresTheSameText: losses before and after are those of the same bytes, to
// the token, and tokens a byte are those that were predicted.
func TestVocabularyMeasuresTheSameText(t *testing.T) {
	text := strings.Repeat("Der Fuchs — „zu sauer!“ — ging fort. "+fable, 20)
	all := data.Part{Documents: [][]byte{[]byte(text)}}
	path := textFile(t, text)
	for _, limit := range []int{0, 1, 90} {
		b, before := bpeModel(t), bpeModel(t)
		on := &prune.Subject{Model: b.Model, Set: b.Set, Pool: kernel.NewPool(1)}
		t.Cleanup(on.Close)
		w, cut, err := Vocabulary{Size: 270}.OpenSmaller(b, Source{Path: path, Held: 0.1}, on, EvalOptions{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		after, err := w.Evaluate(*on, EvalOptions{Context: 32, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		_, held := all.Split(0.1)
		if limit > 0 {
			held = held.Head(int(math.Round(float64(cut.Before.Tokens) / cut.PerByteBefore)))
			if cut.Before.Tokens > limit && limit > 1 {
				t.Errorf("%d tokens measured, at most %d asked for", cut.Before.Tokens, limit)
			}
		}
		alone := textFile(t, string(held.Text()))
		for _, x := range []struct {
			b       *bundle.Bundle
			e       prune.Evaluation
			perByte float64
		}{{before, cut.Before.Evaluation, cut.PerByteBefore}, {b, after, cut.PerByte}} {
			w, err := Open(x.b, Source{Path: alone})
			if err != nil {
				t.Fatal(err)
			}
			e, err := w.Evaluate(prune.Subject{Model: x.b.Model, Set: x.b.Set, Pool: on.Pool}, EvalOptions{Context: 32})
			if err != nil || e.Tokens != x.e.Tokens || math.Abs(e.Loss-x.e.Loss) > 1e-6 || math.Abs(x.perByte*float64(held.Bytes())-float64(e.Tokens)) > 1e-6 {
				t.Errorf("limit %d: %d tokens, loss %g, %g tokens a byte; the text by itself has %d tokens, loss %g (%v)", limit, x.e.Tokens, x.e.Loss, x.perByte, e.Tokens, e.Loss, err)
			}
		}
	}
}

// TestVocabularyOfSize: as many ids as fit are kept, the most used first.
func TestVocabularyOfSize(t *testing.T) {
	path := textFile(t, strings.Repeat(fable, 20))
	before := bpeModel(t)
	for _, n := range []int{270, 285, 299} {
		b := bpeModel(t)
		_, cut, _, err := openSmaller(t, Vocabulary{Size: n}, b, path)
		if err != nil {
			t.Fatal(err)
		}
		if cut.IDs > n || cut.IDs < n-4 || b.Model.Vocab() != cut.IDs || b.Tokenizer.Vocab() != cut.IDs {
			t.Errorf("%d ids asked for: %d, the model has %d, the tokenizer %d", n, cut.IDs, b.Model.Vocab(), b.Tokenizer.Vocab())
		}
		ids := before.Tokenizer.Encode(nil, []byte(strings.Repeat(fable, 18)))
		count := map[int32]int{}
		for _, id := range ids {
			count[id]++
		}
		for i, id := range cut.Kept[1:] {
			if count[id] > count[cut.Kept[i]] {
				t.Fatalf("id %d, used %d times, comes behind one used %d times", id, count[id], count[cut.Kept[i]])
			}
		}
	}
}

// TestVocabularyRefuses: a size that is out of reach names what is possible.
func TestVocabularyRefuses(t *testing.T) {
	path := textFile(t, strings.Repeat(fable, 20))
	for _, n := range []int{-1, 100, 301} {
		_, _, _, err := openSmaller(t, Vocabulary{Size: n}, bpeModel(t), path)
		if err == nil || fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "to 300 (what the model has)") {
			t.Errorf("%d ids: %v", n, err)
		}
	}
	_, _, _, err := openSmaller(t, Vocabulary{Size: 270, Path: "absent.txt"}, bpeModel(t), path)
	if err == nil || fault.Of(err) != fault.Input {
		t.Errorf("no text to count: %v", err)
	}
}
