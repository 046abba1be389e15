package data

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// Numbers that begin llm.c's token files: magic, version, count, in a header of
// 256 little-endian int32 (llm.c's dataloader.h).
const (
	magicUint16   = 20240520 // tokens of two bytes
	magicUint32   = 20240801 // tokens of four
	versionLlama3 = 7        // with magicUint32: dev/data/data_common.py
	headerBytes   = 256 * 4
	maxTokenFile  = 16 << 30 // bytes
)

func init() {
	Register(Reader{Extensions: []string{".bin"}, Pack: PackStream, Tokens: readTokenFile})
}

// readTokenFile reads the ids of a .bin file: with llm.c's header, or raw
// little-endian uint16 as nanoGPT writes them.
func readTokenFile(f *os.File) ([]int32, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxTokenFile {
		return nil, fmt.Errorf("not a regular file of at most %d bytes", int64(maxTokenFile))
	}
	return parseTokenFile(f, st.Size())
}

func parseTokenFile(f io.ReaderAt, size int64) ([]int32, error) {
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
	ids := make([]int32, 0, (size-at)/width)
	r := io.NewSectionReader(f, at, size-at)
	buf := make([]byte, 64<<10)
	for len(ids) < cap(ids) {
		b := buf[:min(int64(len(buf)), int64(cap(ids)-len(ids))*width)]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		for ; len(b) > 0; b = b[width:] {
			id := uint32(binary.LittleEndian.Uint16(b))
			if width == 4 {
				id = binary.LittleEndian.Uint32(b)
			}
			if id >= begins {
				return nil, fmt.Errorf("token %d is %d, expected an id", len(ids), id)
			}
			ids = append(ids, int32(id))
		}
	}
	return ids, nil
}

// shard is a file of ids of a part, with the number of them.
type shard struct {
	path  string
	count int
}

// checked is the ids of a part that was read from token files, if a vocabulary
// holds them all.
func (p Part) checked(vocab int) error {
	for i, id := range p.IDs {
		if int(id) < vocab {
			continue
		}
		at := i + p.first
		for _, s := range p.shards {
			if at < s.count {
				return fmt.Errorf("%w: %s: token %d is %d, which is outside the vocabulary of %d", ErrFormat, s.path, at, id, vocab)
			}
			at -= s.count
		}
	}
	return nil
}
