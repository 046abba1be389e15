package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Tokens is a part of a corpus, encoded. A token that is not to be predicted, that
// of a prompt or in front of a text, stands as its complement, which is negative.
type Tokens []int32

// IDs is the tokens lo to hi.
func (t Tokens) IDs(lo, hi int) []int32 {
	out := make([]int32, hi-lo)
	for i, id := range t[lo:hi] {
		out[i] = plain(id)
	}
	return out
}

// fill takes len(ids) tokens from at on, and the ones behind each as targets, -1
// where they are not to be predicted.
func (t Tokens) fill(ids, targets []int32, at int) {
	for i := range ids {
		ids[i], targets[i] = plain(t[at+i]), max(-1, t[at+i+1])
	}
}

// Window is n tokens from at on and the ones behind each, -1 where they are not to
// be predicted.
func (t Tokens) Window(at, n int) (ids, targets []int32) {
	ids, targets = make([]int32, n), make([]int32, n)
	t.fill(ids, targets, at)
	return ids, targets
}

func plain(id int32) int32 {
	if id < 0 {
		return ^id
	}
	return id
}

// Below names the first token that a vocabulary of so many ids does not have.
func (t Tokens) Below(vocab int) error {
	for i, id := range t {
		if int(plain(id)) >= vocab {
			return fmt.Errorf("%w: token %d of the text is %d, but the model has %d ids", ErrFormat, i, plain(id), vocab)
		}
	}
	return nil
}

// Checksum is the CRC-32C of the tokens as little-endian uint32.
func (t Tokens) Checksum() uint32 {
	table, sum := crc32.MakeTable(crc32.Castagnoli), uint32(0)
	var b [4096]byte
	for len(t) > 0 {
		n := min(len(t), len(b)/4)
		for i, id := range t[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(id))
		}
		sum, t = crc32.Update(sum, table, b[:4*n]), t[n:]
	}
	return sum
}

// Encode encodes the documents one after the other, each behind its prompt and
// within the tokenizer's template. Where there are several, every document ends with
// the tokenizer's DocumentEnd. What the template puts in front is given
// like a prompt, never predicted. Ids that were read are checked: one outside the
// vocabulary is an ErrFormat.
func Encode(t tokenizer.Tokenizer, p Part) (Tokens, error) {
	if p.IDs != nil {
		return p.IDs, p.checked(t.Vocab())
	}
	var ids []int32
	front, back := t.Template()
	end := tokenizer.DocumentEnd(t)
	for i, d := range p.Documents {
		at := len(ids)
		ids = append(ids, front...)
		if p.Prompts != nil {
			ids = t.Encode(ids, p.Prompts[i])
		}
		for ; at < len(ids); at++ {
			ids[at] = ^ids[at]
		}
		ids = append(encode(ids, t, d), back...)
		if len(p.Documents) > 1 && end >= 0 && !slices.Contains(back, end) {
			ids = append(ids, end)
		}
	}
	return ids, nil
}

// encode encodes a document, with every core where the tokenizer can.
func encode(dst []int32, t tokenizer.Tokenizer, d []byte) []int32 {
	if p, ok := t.(interface {
		EncodeParallel(dst []int32, text []byte, threads int) []int32
	}); ok {
		return p.EncodeParallel(dst, d, runtime.GOMAXPROCS(0))
	}
	return t.Encode(dst, d)
}

// Cache keeps encoded parts in a folder, by the SHA-256 of the text and of the
// tokenizer. A damaged or foreign file is not used and replaced.
type Cache struct {
	Dir string
	// Warn is told why a file could not be written; the tokens are there all the
	// same. Nil ignores it.
	Warn func(error)
}

const cacheMagic = "ecospa tokens 3\n" // 1 had no templates, 2 other ends of documents

// Encode is Encode through the cache.
func (c Cache) Encode(t tokenizer.Tokenizer, p Part) (Tokens, error) {
	if p.IDs != nil {
		return Encode(t, p)
	}
	spec, err := t.JSON()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	sum.Write(spec)
	fmt.Fprintf(sum, "end %d\n", tokenizer.DocumentEnd(t))
	for i, d := range p.Documents {
		if p.Prompts != nil {
			fmt.Fprintf(sum, "prompt %d\n", len(p.Prompts[i]))
			sum.Write(p.Prompts[i])
		}
		fmt.Fprintf(sum, "%d\n", len(d))
		sum.Write(d)
	}
	path := filepath.Join(c.Dir, hex.EncodeToString(sum.Sum(nil))+".tokens")
	if ids, ok := readTokens(path, t.Vocab()); ok {
		return ids, nil
	}
	ids, err := Encode(t, p)
	if err != nil {
		return nil, err
	}
	if err := writeTokens(path, ids); err != nil && c.Warn != nil {
		c.Warn(err)
	}
	return ids, nil
}

// readTokens reads a cache file: magic, the tokens as little-endian uint32, and
// the SHA-256 of both.
func readTokens(path string, vocab int) (Tokens, bool) {
	b, err := os.ReadFile(path)
	head, tail := len(cacheMagic), sha256.Size
	if err != nil || len(b) < head+tail || (len(b)-head-tail)%4 != 0 || string(b[:head]) != cacheMagic {
		return nil, false
	}
	if sha256.Sum256(b[:len(b)-tail]) != [sha256.Size]byte(b[len(b)-tail:]) {
		return nil, false
	}
	ids := make(Tokens, (len(b)-head-tail)/4)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(b[head+4*i:]))
		if int(plain(ids[i])) >= vocab {
			return nil, false
		}
	}
	return ids, true
}

func writeTokens(path string, ids Tokens) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b := []byte(cacheMagic)
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	// Several processes may write the same file at once.
	f, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, sum[:]...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
