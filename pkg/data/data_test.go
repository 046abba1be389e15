package data

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

func TestStoriesAreSeededAndTold(t *testing.T) {
	a, nats := Stories(50000, 1)
	b, _ := Stories(50000, 1)
	c, _ := Stories(50000, 2)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Error("the seed does not decide the text")
	}
	bytes, total := 0, 0.0
	for i, s := range a {
		bytes += len(s)
		total += nats[i]
		if strings.Contains(s, " a a") || strings.Contains(s, "mouses") || strings.Contains(s, "  ") {
			t.Errorf("story reads badly: %q", s)
		}
	}
	if rate := total / float64(bytes); rate < 0.05 || rate > 0.3 {
		t.Errorf("entropy rate is %g nats a byte, expected about 0.1", rate)
	}
}

// TestStoriesEntropy counts: equal texts have equal probabilities, and among
// many stories the frequency of an opening agrees with what the choices say.
func TestStoriesEntropy(t *testing.T) {
	stories, _ := Stories(3_000_000, 3)
	n := 0
	for _, s := range stories {
		if strings.HasPrefix(s, "Anna was ") {
			n++
		}
	}
	p := float64(n) / float64(len(stories)) // a girl (1/2), one of eight names
	if sd := math.Sqrt(1. / 16 * 15 / 16 / float64(len(stories))); math.Abs(p-1./16) > 4*sd {
		t.Errorf("Anna opens %g of the stories, expected 1/16", p)
	}
}

func TestSplitHoldsOutTheEnd(t *testing.T) {
	docs := [][]byte{[]byte("abcdefgh"), []byte("ééé")}
	train, held := Part{Documents: docs}.Split(0.3)
	if string(train.Documents[0]) != "abcdefgh" || string(train.Documents[1])+string(held.Documents[0]) != "ééé" || len(held.Documents[0]) != 4 {
		t.Errorf("split into %v and %v", train, held)
	}
}

func TestHeadEndsWithACharacter(t *testing.T) {
	p := Part{Documents: [][]byte{[]byte("abc"), []byte("éé"), []byte("x")}}
	for n, want := range map[int]string{0: "", 2: "ab", 3: "abc", 4: "abc", 5: "abcé", 7: "abcéé", 8: "abcééx", 99: "abcééx"} {
		if got := string(p.Head(n).Text()); got != want {
			t.Errorf("the first %d bytes are %q, expected %q", n, got, want)
		}
	}
	p.Prompts = [][]byte{[]byte("1"), []byte("2"), []byte("3")}
	for n, want := range map[int]string{0: "abc", 6: "abc", 7: "abcéé", 9: "abcééx"} {
		if h := p.Head(n); string(h.Text()) != want || len(h.Prompts) != len(h.Documents) {
			t.Errorf("with prompts the first %d bytes are %q, expected %q", n, h.Text(), want)
		}
	}
}

// TestPromptsAreNotPredicted: prompts stand before their documents, are no targets,
// survive the cache, and stay with their documents when some are held out.
func TestPromptsAreNotPredicted(t *testing.T) {
	path := write(t, "q.jsonl", "{\"ask\":\"ab\",\"say\":\"cd\"}\n{\"ask\":\"e\",\"say\":\"fgh\"}\n{\"ask\":\"ij\",\"say\":\"k\"}\n")
	p, err := Read(path, Options{Field: "say", Prompt: "ask"})
	if err != nil {
		t.Fatal(err)
	}
	tok := tokenizer.Bytes{}
	cache := Cache{Dir: t.TempDir()}
	for range 2 {
		tokens, err := all(cache.Encode(tok, p))
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		for b, err = range Windows(tokens, 1, len(tokens)-1, 0) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := tok.Decode(nil, tokens.IDs(0, 2))
		if err != nil || string(text) != "ab" {
			t.Errorf("the first prompt is %q (%v)", text, err)
		}
		predicted := ""
		for _, target := range b.Targets {
			if target >= 0 && target < 256 {
				predicted += string(rune(target))
			}
		}
		if predicted != "cdfghk" || b.Predicted() != 6 {
			t.Errorf("predicted are %q, %d targets", predicted, b.Predicted())
		}
	}
	train, held := p.Split(0.2)
	if len(train.Documents) != 2 || len(held.Documents) != 1 || string(held.Prompts[0]) != "ij" || len(train.Prompts) != 2 {
		t.Errorf("split into %v and %v", train, held)
	}
	if _, err := Read(path, Options{Field: "say", Prompt: "question"}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "question") {
		t.Errorf("a field that is not there: %v", err)
	}
	if _, err := Read(write(t, "a.txt", "x"), Options{Field: "say", Prompt: "ask"}); !errors.Is(err, ErrFormat) {
		t.Errorf("prompts of plain text: %v", err)
	}
}

// templated is a tokenizer whose texts begin with id 300 and end with 301.
type templated struct{ tokenizer.Bytes }

func (templated) Vocab() int                      { return 302 }
func (templated) Template() (front, back []int32) { return []int32{300}, []int32{301} }
func (templated) EOS() int32                      { return 301 }

// A template goes around every document, in front of its prompt; what is in front is
// never predicted, what ends a text is, once.
func TestTemplatesGoAroundDocuments(t *testing.T) {
	for _, c := range []struct {
		part Part
		want Tokens
	}{
		{Part{Documents: [][]byte{[]byte("ab")}}, Tokens{^300, 'a', 'b', 301}},
		{Part{Documents: [][]byte{[]byte("a"), []byte("b")}}, Tokens{^300, 'a', 301, ^300, 'b', 301}},
		{Part{Documents: [][]byte{[]byte("a")}, Prompts: [][]byte{[]byte("p")}}, Tokens{^300, ^'p', 'a', 301}},
	} {
		if got, err := all(Encode(templated{}, c.part)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v (%v), expected %v", c.part.Documents, got, err, c.want)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadRefuses(t *testing.T) {
	for name, path := range map[string]string{
		"utf8":  write(t, "b.txt", "ab\n\xff"),
		"empty": write(t, "c.txt", ""),
		"json":  write(t, "d.jsonl", "{"),
		"field": write(t, "e.jsonl", "{\"body\":\"x\"}"),
		"type":  write(t, "f.jsonl", "{\"text\":5}"),
		"none":  t.TempDir(),
	} {
		if _, err := Read(path, Options{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error is %v, expected one that names the file", name, err)
		}
	}
	if _, err := Read("/nowhere/x.txt", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestBatchesCoverAndResume(t *testing.T) {
	tokens := make(Tokens, 103)
	for i := range tokens {
		tokens[i] = int32(i)
	}
	b, err := NewBatches(tokens, 3, 5, Cursor{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int32]int{}
	var saved Cursor
	var after [][]int32
	for i := range 40 {
		if i == 17 {
			saved = b.Cursor()
		}
		batch, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		for j, id := range batch.IDs {
			if batch.Targets[j] != id+1 {
				t.Fatalf("target of %d is %d", id, batch.Targets[j])
			}
			seen[id]++
		}
		if i >= 17 {
			after = append(after, append([]int32(nil), batch.IDs...))
		}
	}
	if len(seen) < 95 {
		t.Errorf("six passes show %d of 103 tokens", len(seen))
	}
	r, err := NewBatches(tokens, 3, 5, saved)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range after {
		if b, _ := r.Next(); !reflect.DeepEqual(b.IDs, want) {
			t.Fatalf("batch %d behind the cursor is %v, expected %v", i, b.IDs, want)
		}
	}
}

func TestWindowsPredictEveryTokenOnce(t *testing.T) {
	for _, n := range []int{2, 5, 16, 17, 31} {
		tokens := make(Tokens, n)
		for i := range tokens {
			tokens[i] = int32(i)
		}
		next := int32(1)
		for b := range Windows(tokens, 2, 4, 0) {
			for i, target := range b.Targets {
				if target < 0 {
					continue
				}
				if target != next || b.IDs[i] != target-1 {
					t.Fatalf("%d tokens: predicts %d from %d, expected %d", n, target, b.IDs[i], next)
				}
				next++
			}
		}
		if int(next) != n {
			t.Errorf("%d tokens: %d predicted", n, next-1)
		}
	}
}

func TestCache(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	p := Part{Documents: [][]byte{[]byte("hello"), []byte("world")}}
	want, err := all(Encode(tokenizer.Bytes{}, p))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := all(c.Encode(tokenizer.Bytes{}, p)); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v (%v)", got, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(c.Dir, "*.tokens"))
	if len(files) != 1 {
		t.Fatalf("cache holds %v", files)
	}
	b, _ := os.ReadFile(files[0])
	b[20] ^= 1
	os.WriteFile(files[0], b, 0o644)
	if got, err := all(c.Encode(tokenizer.Bytes{}, p)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("damaged cache gives %v (%v)", got, err)
	}
}

// TestLinksOutOfAFolderAreRefused: a folder may come from a stranger.
func TestLinksOutOfAFolderAreRefused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("fine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.txt", filepath.Join(dir, "b.txt")); err != nil {
		t.Skip("SKIPPED: the system makes no links: ", err)
	}
	if docs, err := Read(dir, Options{}); err != nil || len(docs.Documents) != 2 {
		t.Errorf("a link within the folder: %v, %v", docs, err)
	}
	for name, make := range map[string]func(path string) error{
		"a link out":      func(p string) error { return os.Symlink(secret, p) },
		"a relative link": func(p string) error { return os.Symlink("../../../../../../../../etc/passwd", p) },
		"a folder":        func(p string) error { return os.Mkdir(p, 0o755) },
		"a loop":          func(p string) error { return os.Symlink(filepath.Base(p), p) },
		"a device":        func(p string) error { return os.Symlink("/dev/zero", p) },
	} {
		path := filepath.Join(dir, "c.jsonl")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		for _, ask := range []string{dir, filepath.Join(dir, "*.jsonl")} {
			if docs, err := Read(ask, Options{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "c.jsonl") {
				t.Errorf("%s in %s: %v, %v", name, ask, docs, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCacheThatCannotBeWritten: the tokens are there, and it is said why the file is not.
func TestCacheThatCannotBeWritten(t *testing.T) {
	file := write(t, "file", "in the way")
	var told []error
	c := Cache{Dir: filepath.Join(file, "cache"), Warn: func(err error) { told = append(told, err) }}
	p := Part{Documents: [][]byte{[]byte("some text")}}
	got, err := all(c.Encode(tokenizer.Bytes{}, p))
	if err != nil || len(told) != 1 || !strings.Contains(told[0].Error(), file) {
		t.Fatalf("%v, told %v", err, told)
	}
	if want, err := all(Encode(tokenizer.Bytes{}, p)); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, expected %v (%v)", got, want, err)
	}
}
