package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/ecospa/ecospa/internal/mapped"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Numbers that begin llm.c's token files: magic, version, count, in a header of
// 256 little-endian int32 (llm.c's dataloader.h).
const (
	magicUint16   = 20240520 // tokens of two bytes
	magicUint32   = 20240801 // tokens of four
	versionLlama3 = 7        // with magicUint32: dev/data/data_common.py
	headerBytes   = 256 * 4
)

func init() {
	Register(Reader{Extensions: []string{".bin"}, Pack: PackStream, Tokens: openTokenFile})
}

// openTokenFile opens a .bin file of ids: with llm.c's header, or raw little-endian uint16
// as nanoGPT writes them.
func openTokenFile(f *os.File) (*shardFile, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := st.Size()
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	width, at := int64(2), int64(0)
	var head [12]byte
	if size >= headerBytes {
		if _, err := f.ReadAt(head[:], 0); err != nil {
			return nil, err
		}
		if magic := binary.LittleEndian.Uint32(head[:]); magic == magicUint16 || magic == magicUint32 {
			v := binary.LittleEndian.Uint32(head[4:])
			if magic == magicUint32 {
				width = 4
			}
			if v != 1 && (v != versionLlama3 || magic != magicUint32) {
				return nil, fmt.Errorf("version %d of a file of tokens, expected 1, or %d with tokens of four bytes", v, versionLlama3)
			}
			at = headerBytes
			if n := int64(binary.LittleEndian.Uint32(head[8:])); n*width != size-at {
				return nil, fmt.Errorf("the header says %d tokens of %d bytes, found %d bytes", n, width, size-at)
			}
		}
	}
	if (size-at)%width != 0 {
		return nil, fmt.Errorf("%d bytes, expected tokens of %d", size, width)
	}
	s := &shardFile{file: f, m: mapped.Map(f, size), at: at, width: int(width), tokens: int((size - at) / width), documents: 1}
	s.keep()
	return s, nil
}

// joinTokenFiles makes one stream of files of ids.
func joinTokenFiles(files []*shardFile) (*Shards, error) {
	all := newShards(files, false, 0)
	if all.Len() == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrFormat, files[0].path)
	}
	return all, nil
}

// encoded is what was read from files of ids, or a prepared corpus, for a tokenizer. Ids
// outside its vocabulary are an ErrFormat.
func (p Part) encoded(t tokenizer.Tokenizer) (Encoded, error) {
	if p.prepared != nil {
		return p.Shards, p.prepared.fits(t)
	}
	s := *p.Shards
	end := tokenizer.DocumentEnd(t)
	if s.separate = p.Pack == PackDocuments; s.separate && end < 0 {
		return nil, fmt.Errorf("%w: %s: data.pack is documents, and the tokenizer has no token that stands between them", ErrFormat, s.files[0].path)
	}
	if err := s.scan(t.Vocab(), end); err != nil {
		return nil, err
	}
	return &s, nil
}

// scan reads all ids of the part once: that a vocabulary holds them, their checksum, and
// where documents begin, at an end of one.
func (s *Shards) scan(vocab int, end int32) error {
	sum, b := uint32(0), make([]byte, 4<<16)
	buf := make(Tokens, 1<<16)
	starts := make([][]int, len(s.files))
	for i := range s.files {
		lo, hi := max(s.lo, s.firsts[i]), min(s.hi, s.firsts[i+1])
		for at := lo; at < hi; at += len(buf) {
			ids := buf[:min(len(buf), hi-at)]
			if err := faulty(s.files[i].path, mapped.Guard(func() error { return s.files[i].raw(ids, at-s.firsts[i]) })); err != nil {
				return err
			}
			for k, id := range ids {
				place := at + k - s.firsts[i]
				if id < 0 || id >= begins || int(id) >= vocab {
					return fmt.Errorf("%w: %s: token %d is %d, which is outside the vocabulary of %d", ErrFormat, s.files[i].path, place, uint32(id), vocab)
				}
				if s.separate && (at+k == s.lo || id == end) {
					starts[i] = append(starts[i], place)
				}
				binary.LittleEndian.PutUint32(b[4*k:], uint32(id))
			}
			sum = crc32.Update(sum, castagnoli, b[:4*len(ids)])
			s.files[i].m.Drop(s.files[i].at+int64((at-s.firsts[i])*s.files[i].width), len(ids)*s.files[i].width)
		}
	}
	s.scanned(starts, sum)
	return nil
}

// scanned makes s a text of its own, with documents where they are told apart.
func (s *Shards) scanned(starts [][]int, sum uint32) {
	lo, hi := s.lo, s.hi
	files := make([]*shardFile, len(s.files))
	for i, f := range s.files {
		c := *f
		c.from = f
		if s.separate {
			c.starts, c.documents = starts[i], len(starts[i])
			if c.starts == nil {
				c.starts = []int{}
			}
		}
		files[i] = &c
	}
	n := newShards(files, s.separate, sum)
	n.own = true
	*s = *n
	s.lo, s.hi = lo, hi
}
