package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// llmc is a token file with llm.c's header.
func llmc(magic, version, count uint32, tokens any) []byte {
	head := make([]byte, headerBytes)
	for i, v := range []uint32{magic, version, count} {
		binary.LittleEndian.PutUint32(head[4*i:], v)
	}
	b := bytes.NewBuffer(head)
	binary.Write(b, binary.LittleEndian, tokens)
	return b.Bytes()
}

func TestTokenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.bin")
	read := func(b []byte) (Corpus, error) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		c.Path, c.Validation = path, 0.25
		return Load(c)
	}
	for name, b := range map[string][]byte{
		"nanoGPT":      {1, 0, 2, 0, 3, 0, 0, 1},
		"llm.c":        llmc(magicUint16, 1, 4, []uint16{1, 2, 3, 256}),
		"llm.c uint32": llmc(magicUint32, 1, 4, []uint32{1, 2, 3, 256}),
	} {
		c, err := read(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ids, err := all(Encode(tokenizer.Bytes{}, c.Train)); err != nil || !reflect.DeepEqual(ids, Tokens{1, 2, 3}) {
			t.Errorf("%s: %v (%v)", name, ids, err)
		}
		_, err = all(Cache{Dir: t.TempDir()}.Encode(tokenizer.Bytes{}, c.Validation))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "t.bin: token 3 is 256") {
			t.Errorf("%s: an id outside the vocabulary: %v", name, err)
		}
	}
	for want, b := range map[string][]byte{
		"empty":         {},
		"3 bytes":       {1, 2, 3},
		"version 9":     llmc(magicUint16, 9, 1, []uint16{1}),
		"says 5 tokens": llmc(magicUint16, 1, 5, []uint16{1}),
		"token 1 is":    llmc(magicUint32, 1, 2, []uint32{1, 1 << 31}),
	} {
		c, err := read(b)
		if err == nil {
			_, err = Encode(tokenizer.Bytes{}, c.Train)
		}
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}

func FuzzTokenFile(f *testing.F) {
	f.Add(llmc(magicUint32, 1, 1, []uint32{1}))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read(write(t, "x.bin", string(b)), Options{})
		if err != nil {
			return
		}
		if ids, err := all(Encode(tokenizer.Bytes{}, p)); err == nil && len(ids)*2 > len(b) {
			t.Errorf("%d ids of %d bytes", len(ids), len(b))
		}
	})
}
