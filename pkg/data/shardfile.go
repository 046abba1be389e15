package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"

	"github.com/ecospa/ecospa/internal/mapped"
)

// A shard is a file of encoded documents: a header of 64 bytes, the tokens (uint16, or
// uint32 where ids need it or parts of a document are not predicted), zeros up to a
// multiple of 8, and a record of 16 bytes for each document. All numbers are little-endian.
const (
	shardMagic  = "ecospa shard 1\n\x00"
	shardHeader = 64
	recordBytes = 16
	shardSuffix = ".shard"
)

// header is what a shard begins with, after its magic.
type header struct {
	Width, Vocab       uint32 // bytes of a token; ids
	Tokens, Documents  uint64
	Learned            uint64 // tokens that are predicted
	TokenSum, IndexSum uint32 // CRC-32C of the tokens and of the records
}

// record is one document of a shard.
type record struct {
	Start uint64 // its first token, in the shard
	Given uint32 // tokens after the first that are not predicted
	Flags uint32
}

// Flags of a record.
const (
	led      = 1 << iota // its first token is predicted, as the last of the document before
	streamed             // its first token is predicted only where documents are not told apart
	marked               // its tokens say themselves which are predicted, as Tokens do
)

// shardFile is a file of tokens: a shard, or one of nanoGPT or llm.c, which has no records.
type shardFile struct {
	path      string
	file      *os.File
	m         *mapped.File
	at        int64 // offset of the tokens
	width     int
	tokens    int
	index     int64 // offset of the records
	documents int
	starts    []int // of a file without records, where documents are told apart
	learned   int
	sums      [2]uint32
	from      *shardFile // keeps the mapping of a copy
}

// openShard opens a shard whose sizes are in order; the sums are checked by verify.
func openShard(path string, vocab int) (s *shardFile, err error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
		}
	}()
	var head [shardHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%d bytes are too few for a shard", size)
	}
	if string(head[:len(shardMagic)]) != shardMagic {
		return nil, fmt.Errorf("it begins with %q, expected %q: no shard of this version; ecospa data prepare writes them", head[:len(shardMagic)], shardMagic)
	}
	var h header
	if err := binary.Read(bytes.NewReader(head[len(shardMagic):]), binary.LittleEndian, &h); err != nil {
		return nil, err
	}
	if h.Width != 2 && h.Width != 4 || int64(h.Vocab) != int64(vocab) {
		return nil, fmt.Errorf("tokens of %d bytes and %d ids, expected 2 or 4 bytes and %d ids", h.Width, h.Vocab, vocab)
	}
	room := uint64(size)
	if h.Tokens > room || h.Documents > room || uint64(tokenEnd(int64(h.Tokens), int(h.Width)))+recordBytes*h.Documents != room || h.Documents == 0 || h.Learned > h.Tokens {
		return nil, fmt.Errorf("the header says %d tokens of %d bytes and %d documents, found %d bytes: the file is incomplete, run ecospa data prepare again", h.Tokens, h.Width, h.Documents, size)
	}
	s = &shardFile{
		path: path, file: f, m: mapped.Map(f, size), at: shardHeader, width: int(h.Width), tokens: int(h.Tokens),
		index: tokenEnd(int64(h.Tokens), int(h.Width)), documents: int(h.Documents), learned: int(h.Learned), sums: [2]uint32{h.TokenSum, h.IndexSum},
	}
	s.keep()
	return s, nil
}

// tokenEnd is where the records of a shard begin.
func tokenEnd(tokens int64, width int) int64 { return (shardHeader + tokens*int64(width) + 7) / 8 * 8 }

func openRegular(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file", ErrFormat, path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// keep closes the file when nothing refers to s any longer.
func (s *shardFile) keep() {
	runtime.AddCleanup(s, func(m *mapped.File) {
		m.Close()
		m.File.Close()
	}, s.m)
}

// raw is the ids of tokens at to at+len(dst), of width 4 as they stand.
func (s *shardFile) raw(dst []int32, at int) error {
	b, err := s.m.View(s.at+int64(at*s.width), len(dst)*s.width, s.room(len(dst)))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	for i := range dst {
		if s.width == 2 {
			dst[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		} else {
			dst[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	runtime.KeepAlive(s)
	return nil
}

// room is a buffer for n tokens where the file is not mapped.
func (s *shardFile) room(n int) []byte {
	if s.m.IsMapped() {
		return nil
	}
	return make([]byte, n*s.width)
}

// record is document k.
func (s *shardFile) record(k int) (record, error) {
	if s.index == 0 {
		if s.starts == nil {
			return record{Flags: led}, nil
		}
		return record{Start: uint64(s.starts[k]), Flags: led}, nil
	}
	var buf []byte
	if !s.m.IsMapped() {
		buf = make([]byte, recordBytes)
	}
	b, err := s.m.View(s.index+int64(k)*recordBytes, recordBytes, buf)
	if err != nil {
		return record{}, fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	r := record{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
	if r.Start >= uint64(s.tokens) || k == 0 && r.Start != 0 {
		return r, fmt.Errorf("%w: %s: document %d begins at token %d of %d", ErrFormat, s.path, k, r.Start, s.tokens)
	}
	return r, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
