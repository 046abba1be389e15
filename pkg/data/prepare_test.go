package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// prepared prepares a file, in shards of 60 tokens, and reads what became of it.
func prepared(t *testing.T, tok tokenizer.Tokenizer, path string, o PrepareOptions) Part {
	t.Helper()
	o.Path, o.Out, o.Tokenizer, o.Shard = path, filepath.Join(t.TempDir(), "p"), tok, 60
	var last PrepareProgress
	o.Progress = func(p PrepareProgress) {
		if p.Read < last.Read || p.Read > p.Size || p.Bytes < last.Bytes {
			t.Errorf("after %+v comes %+v", last, p)
		}
		last = p
	}
	about, err := Prepare(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if last.Of != 1 || last.Size == 0 || last.Bytes != about.TextBytes || last.Tokens == 0 {
		t.Errorf("at the end: %+v", last)
	}
	if err := about.Verify(); err != nil {
		t.Error(err)
	}
	p, err := Read(o.Out, Options{Pack: o.Pack})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// records is a file of n records of random words, some empty, with prompts in every third.
func records(t *testing.T, n int) string {
	rng := rand.New(rand.NewPCG(3, 4))
	word := func(most int) string { return strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(most)) }
	var b strings.Builder
	for i := range n {
		prompt := ""
		if i%3 == 0 {
			prompt = word(9)
		}
		line, err := json.Marshal(map[string]string{"text": word(40), "ask": prompt})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", line)
	}
	return put(t, "r.jsonl", b.String())
}

// TestPreparedIsEncoded: shards hold the tokens that encoding in memory gives, with every
// kind of tokenizer, and so do their parts, counts and pieces.
func TestPreparedIsEncoded(t *testing.T) {
	path := records(t, 60)
	text := write(t, "plain.txt", strings.Repeat("some words of a text\n", 40))
	lines := write(t, "lines.txt", strings.Repeat("a document\nof lines\n---\n", 30)+"the last\n")
	for name, tok := range map[string]tokenizer.Tokenizer{"template": templated{}, "end": ended{}, "neither": tokenizer.Bytes{}} {
		for what, c := range map[string]struct {
			path string
			o    Options
		}{
			"records": {path, Options{}}, "prompts": {path, Options{Prompt: "ask"}}, "records, a stream": {path, Options{Pack: PackStream}},
			"text": {text, Options{}}, "separated": {lines, Options{Separator: "---"}},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				p, err := Read(c.path, c.o)
				if err != nil {
					t.Fatal(err)
				}
				want, err := all(Encode(tok, p))
				if err != nil {
					t.Fatal(err)
				}
				c.o.Pack = p.Pack
				if tok.Vocab() == 256 { // ids are written in JSON by the tokenizer alone
					tok = tokenizer.WithEnds(tok, -1, -1)
				}
				q := prepared(t, tok, c.path, PrepareOptions{Options: c.o, Workers: 3})
				if q.Skipped != p.Skipped || q.Prepared().TextBytes < int64(p.Bytes()) {
					t.Errorf("%d skipped, %d bytes; expected %d, %d or more", q.Skipped, q.Prepared().TextBytes, p.Skipped, p.Bytes())
				}
				got, err := Encode(tok, q)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
				if n := want[1:].Predicted(); want.Separate() && q.Prepared().Learned != n {
					t.Errorf("%d are learned, expected %d", q.Prepared().Learned, n)
				}
				cut := want.Cut(0.3)
				parts := got.(Divisible)
				if c := parts.Cut(0.3); c != cut {
					t.Errorf("cut at %d, expected %d", c, cut)
				}
				same(t, parts.Part(cut, got.Len()), want[cut:])
				same(t, parts.Part(0, cut), want[:cut])
			})
		}
	}
}

// same compares shards with tokens in memory.
func same(t *testing.T, got Encoded, want Tokens) {
	t.Helper()
	ids, err := all(got, nil)
	if err != nil || got.Separate() != want.Separate() || got.Documents() != want.Documents() {
		t.Fatalf("separate %t, %d documents (%v); expected %t, %d", got.Separate(), got.Documents(), err, want.Separate(), want.Documents())
	}
	if len(want) > 0 && len(ids) > 0 { // nothing leads to the first
		ids[0], want = plain(ids[0]), append(Tokens{plain(want[0])}, want[1:]...)
	}
	if !reflect.DeepEqual(ids, want) {
		t.Fatalf("tokens\n%v, expected\n%v", ids, want)
	}
	for at := 0; at+8 < len(want); at += 5 {
		n, err := got.predicted(at, 7)
		if m, _ := want.predicted(at, 7); n != m || err != nil {
			t.Fatalf("%d predicted after %d, expected %d (%v)", n, at, m, err)
		}
	}
	for _, context := range []int{5, 16, 200} {
		p, err := PackingOf(got, context)
		if q := packing(t, want, context); p != q || err != nil {
			t.Errorf("packing for %d: %+v, expected %+v (%v)", context, p, q, err)
		}
		if !want.Separate() {
			continue
		}
		for _, limit := range []int{0, 11} {
			a, _, err := got.pieces(0, context, limit)
			b, _, _ := want.pieces(0, context, limit)
			if err != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("pieces for %d\n%v, expected\n%v (%v)", context, a, b, err)
			}
		}
	}
}

// TestPreparedChats: a conversation's marks are in its tokens.
func TestPreparedChats(t *testing.T) {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"Q%d"},{"role":"assistant","content":"one"},{"role":"user","content":"more"},{"role":"assistant","content":"%s"}]}`+"\n", i, strings.Repeat("x", i))
	}
	path := put(t, "x.jsonl", b.String())
	p, err := Read(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Template = chatML(t)
	want, err := all(Encode(tokenizer.Bytes{}, p))
	if err != nil {
		t.Fatal(err)
	}
	q := prepared(t, tokenizer.Bytes{}, path, PrepareOptions{Template: p.Template})
	got, err := Encode(tokenizer.Bytes{}, q)
	if err != nil || !q.Prepared().Chats || q.Prepared().Learned != want.Predicted() {
		t.Fatalf("%+v (%v), expected %d learned", q.Prepared(), err, want.Predicted())
	}
	same(t, got, want)
}

func TestPrepareRefuses(t *testing.T) {
	path := records(t, 60)
	dir := filepath.Join(t.TempDir(), "p")
	o := PrepareOptions{Path: path, Out: dir, Tokenizer: ended{}, Shard: 60}
	for want, c := range map[string]struct {
		change func(o *PrepareOptions)
		after  bool // a first preparation
	}{
		"line 2 is not a JSON object":          {func(o *PrepareOptions) { o.Path = put(t, "x.jsonl", "{\"text\":\"a\"}\n{\n") }, false},
		"has no field \"body\"":                {func(o *PrepareOptions) { o.Field = "body" }, false},
		"there is no chat template":            {func(o *PrepareOptions) { o.Path = put(t, "x.jsonl", `{"prompt":"a","response":"b"}`) }, false},
		"holds tokens already":                 {func(o *PrepareOptions) { o.Path = write(t, "x.bin", "ab") }, false},
		"has no text":                          {func(o *PrepareOptions) { o.Path = write(t, "x.txt", "") }, false},
		"not UTF-8 text: byte 0xff":            {func(o *PrepareOptions) { o.Path = write(t, "x.txt", "a\xff") }, false},
		"holds a prepared corpus already":      {func(o *PrepareOptions) {}, true},
		"holds notes.txt, expected an empty":   {func(o *PrepareOptions) { o.Out = filepath.Dir(put(t, "notes.txt", "x")) }, false},
		"no such file":                         {func(o *PrepareOptions) { o.Path = "none.txt" }, false},
		"format is \"x\", expected one of tex": {func(o *PrepareOptions) { o.Format = "x" }, false},
	} {
		o := o
		o.Out = filepath.Join(t.TempDir(), "p")
		if c.after {
			if _, err := Prepare(context.Background(), o); err != nil {
				t.Fatal(err)
			}
		}
		c.change(&o)
		if _, err := Prepare(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Prepare(ctx, o); !errors.Is(err, context.Canceled) || IsPrepared(dir) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestPreparedIsGuarded: another tokenizer, changed bytes and a file cut short are errors.
func TestPreparedIsGuarded(t *testing.T) {
	q := prepared(t, ended{}, records(t, 60), PrepareOptions{})
	if _, err := Encode(templated{}, q); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "another tokenizer") {
		t.Errorf("another tokenizer: %v", err)
	}
	dir := q.Prepared().dir
	shard := filepath.Join(dir, "00001.shard")
	whole, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(b []byte) []byte{
		"no shard of this version": func(b []byte) []byte { b[0] = 'x'; return b },
		"the file is incomplete":   func(b []byte) []byte { return b[:len(b)-1] },
		"too few for a shard":      func(b []byte) []byte { return b[:10] },
		"not the shard that":       func(b []byte) []byte { b[48]++; return b },
		"checksum does not match":  func(b []byte) []byte { b[70]++; return b },
	} {
		if err := os.WriteFile(shard, change(append([]byte(nil), whole...)), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := ReadPrepared(dir)
		if err == nil {
			err = p.Verify()
		}
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "00001.shard") {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	if err := os.WriteFile(shard, whole, 0o644); err != nil { // q has the file mapped
		t.Fatal(err)
	}
	b, err := NewBatches(q.Shards, 4, 16, Cursor{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range q.Prepared().Shards {
		if err := os.Truncate(filepath.Join(dir, s.File), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = b.Next(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), ".shard") {
		t.Errorf("files cut short under a run: %v", err)
	}
}

// FuzzShard: a damaged shard is an error or a text, and nothing else.
func FuzzShard(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "x.txt")
	if err := os.WriteFile(path, []byte("one two three\n---\nfour"), 0o644); err != nil {
		f.Fatal(err)
	}
	o := PrepareOptions{Path: path, Out: filepath.Join(dir, "p"), Tokenizer: ended{}, Options: Options{Separator: "---"}}
	about, err := Prepare(context.Background(), o)
	if err != nil {
		f.Fatal(err)
	}
	shard := filepath.Join(o.Out, about.Shards[0].File)
	whole, err := os.ReadFile(shard)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for i := 16; i < len(whole); i += 3 {
		b := append([]byte(nil), whole...)
		b[i] ^= 0x41
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := write(t, "x.shard", string(b))
		s, err := openShard(path, 301)
		if err != nil {
			return
		}
		text := newShards([]*shardFile{s}, true, 0)
		if ids, err := all(text, nil); err == nil && len(ids) > len(b) {
			t.Errorf("%d ids of %d bytes", len(ids), len(b))
		}
		if batches, err := NewBatches(text, 2, 8, Cursor{}); err == nil {
			_, _ = batches.Next()
		}
	})
}
