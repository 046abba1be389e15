package bundle

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// lastLogits are those behind ids.
func lastLogits(t *testing.T, b *Bundle, ids []int32) []float32 {
	t.Helper()
	pool := kernel.NewPool(1)
	defer pool.Close()
	g := graph.NewBuilder(b.Set, graph.BuildOptions{})
	b.Model.Decode(g, 1, len(ids), false)
	mc, err := g.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{mc.SetInts("ids", ids), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return slices.Clone(mc.Output("logits"))
}

// padded is a bundle of a BPE of 300 ids under 310 rows, with what Hugging Face's files say
// of ids, read from disk.
func padded(t *testing.T, s model.Sizes, more map[string]string) *Bundle {
	t.Helper()
	bpe, err := tokenizer.Train([]byte(strings.Repeat("The quick brown fox jumps over 13 lazy dogs; it's 2026, naïvely.\n", 40)), 300)
	if err != nil {
		t.Fatal(err)
	}
	s.Vocab = 310
	b := drawn(t, s)
	b.Tokenizer, b.Ends = bpe, []int32{bpe.EOS()}
	dir := filepath.Join(t.TempDir(), "m")
	if err := b.Save(dir, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range more {
		put(t, dir, name, text)
	}
	return reopened(t, dir)
}

func reopened(t *testing.T, dir string) *Bundle {
	t.Helper()
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// TestKeepVocabulary: tied or not, logits of the kept ids stay what they were, any text
// encodes, and the model that is saved or exported opens as the same.
func TestKeepVocabulary(t *testing.T) {
	yes := true
	tied := small
	tied.Tied = &yes
	for name, sizes := range map[string]model.Sizes{
		"llama": small, "llama, tied": tied, "gpt2": {Family: "gpt2", Layers: 2, Width: 64, Heads: 4, Context: 64},
	} {
		b := padded(t, sizes, nil)
		if n := len(b.Unused()); n != 10 {
			t.Fatalf("%s: %d ids without a token, expected 10", name, n)
		}
		text := []byte("The quick lazy fox.")
		was := b.Tokenizer.Encode(nil, text)
		before, rows := lastLogits(t, b, was), b.Model.Vocab()
		end := b.Ends[0]

		renumbered, err := b.KeepVocabulary(was)
		if err != nil {
			t.Fatal(err)
		}
		is := b.Tokenizer.Encode(nil, text)
		for i, id := range was {
			was[i] = renumbered[id]
		}
		if !slices.Equal(was, is) || b.Ends[0] != renumbered[end] || b.Tokenizer.EOS() != b.Ends[0] || len(b.Unused()) != 0 {
			t.Errorf("%s: %q is %v, expected %v; ends %v, without a token %v", name, text, is, was, b.Ends, b.Unused())
		}
		if b.Model.Vocab() >= rows-10 || b.Tokenizer.Vocab() != b.Model.Vocab() {
			t.Errorf("%s: %d rows of %d, %d ids", name, b.Model.Vocab(), rows, b.Tokenizer.Vocab())
		}
		other := []byte("zoë ≠ 東京 \x00")
		if back, err := b.Tokenizer.Decode(nil, b.Tokenizer.Encode(nil, other)); err != nil || string(back) != string(other) {
			t.Errorf("%s: %q comes back as %q (%v)", name, other, back, err)
		}
		after := lastLogits(t, b, is)
		for old, id := range renumbered {
			if id >= 0 && math.Abs(float64(after[id]-before[old])) > 1e-6 {
				t.Errorf("%s: the logit of id %d was %g, is %g", name, old, before[old], after[id])
			}
		}

		dir := filepath.Join(t.TempDir(), "small")
		if err := b.Save(dir, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		saved := reopened(t, dir)
		if !slices.Equal(lastLogits(t, saved, is), after) || !slices.Equal(saved.Ends, b.Ends) {
			t.Errorf("%s: the saved model is another; its ends %v, expected %v", name, saved.Ends, b.Ends)
		}
		exported := reopened(t, writeGGUF(t, saved, "F32"))
		if got := lastLogits(t, exported, exported.Tokenizer.Encode(nil, text)); len(got) != len(after) || difference(got, after) > 1e-5 {
			t.Errorf("%s: the GGUF file has %d logits, %g off, expected %d", name, len(got), difference(got, after), len(after))
		}
	}
}

func difference(a, b []float32) (most float64) {
	for i := range min(len(a), len(b)) {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}

// TestKeepVocabularyInFiles: ids that the model's files name stay, by their new numbers;
// files that say the vocabulary by its old ones do not.
func TestKeepVocabularyInFiles(t *testing.T) {
	b := padded(t, model.Sizes{Family: "gpt2", Layers: 1, Width: 32, Heads: 2, Context: 32}, map[string]string{
		generationFile: `{"eos_token_id": [256, 290], "pad_token_id": 295, "suppress_tokens": [305, 280], "forced_bos_token_id": null, "top_k": 5}`,
		settingsFile:   `{"added_tokens_decoder": {"256": {"content": "<|endoftext|>"}, "298": {"content": "gone"}}, "model_max_length": 64}`,
		"vocab.json":   `{}`, "merges.txt": "", "special_tokens_map.json": `{"eos_token": "<|endoftext|>"}`,
	})
	renumbered, err := b.KeepVocabulary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{290, 295, 280} {
		if renumbered[id] < 0 {
			t.Errorf("id %d, which generation_config.json names, is gone", id)
		}
	}
	var g struct {
		EOS      []int32 `json:"eos_token_id"`
		Pad      int32   `json:"pad_token_id"`
		Suppress []int32 `json:"suppress_tokens"`
		TopK     int     `json:"top_k"`
	}
	if err := json.Unmarshal(b.extra(generationFile), &g); err != nil {
		t.Fatal(err)
	}
	if want := []int32{renumbered[256], renumbered[290]}; !slices.Equal(g.EOS, want) || !slices.Equal(b.Ends, want) ||
		g.Pad != renumbered[295] || !slices.Equal(g.Suppress, []int32{renumbered[280]}) || g.TopK != 5 {
		t.Errorf("generation_config.json says %+v, the ends are %v; ids %v", g, b.Ends, renumbered[256:])
	}
	var s struct {
		Added map[int32]any `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(b.extra(settingsFile), &s); err != nil || len(s.Added) != 1 || s.Added[renumbered[256]] == nil {
		t.Errorf("tokenizer_config.json says %v (%v)", s.Added, err)
	}
	if b.extra("vocab.json") != nil || b.extra("merges.txt") != nil || b.extra("special_tokens_map.json") == nil {
		t.Error("vocab.json or merges.txt was carried through, or special_tokens_map.json was not")
	}
}

// TestKeepVocabularyRefuses: what has no vocabulary of tokens is the caller's mistake.
func TestKeepVocabularyRefuses(t *testing.T) {
	bytes, none := drawn(t, small), drawn(t, small)
	none.Tokenizer = nil
	for want, b := range map[string]*Bundle{
		"its ids are the bytes": bytes, "holds no tokenizer.json": none,
		"classifies images": drawn(t, model.Sizes{Family: "vit", Layers: 1, Width: 16, Heads: 2, ImageSize: 4, PatchSize: 2, Channels: 3, Labels: 3}),
	} {
		rows := b.Set.Count()
		_, err := b.KeepVocabulary(nil)
		if err == nil || fault.Of(err) != fault.Config || !strings.Contains(err.Error(), want) || b.Set.Count() != rows {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
