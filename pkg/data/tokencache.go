package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Cache keeps encoded parts in a folder, by the SHA-256 of the text and of the
// tokenizer. A damaged or foreign file is not used and replaced.
type Cache struct {
	Dir string
	// Warn is told why a file could not be written; the tokens are there all the
	// same. Nil ignores it.
	Warn func(error)
}

const cacheMagic = "ecospa tokens 4\n" // 1 had no templates, 2 other ends of documents, 3 no beginnings of them

// Encode is Encode through the cache.
func (c Cache) Encode(t tokenizer.Tokenizer, p Part) (Encoded, error) {
	if p.Shards != nil {
		return Encode(t, p)
	}
	spec, err := t.JSON()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	sum.Write(spec)
	fmt.Fprintf(sum, "end %d, %s\n", tokenizer.DocumentEnd(t), p.Pack)
	if p.chats && p.Template != nil {
		fmt.Fprintf(sum, "chats %q %q %q\n", p.format, p.Template.Source(), p.Template.Tokens())
	}
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
	ids, err := encodeTexts(t, p)
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
