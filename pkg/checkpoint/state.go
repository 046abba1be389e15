package checkpoint

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/param"
)

// Trainer state is stored beside the model in a checkpoint: JSON files, and
// slabs as raw little-endian float32. The manifest vouches for all of them.

// SlabFile is a slab's elements, as they are.
func SlabFile(name string, s *param.Slab) File {
	return File{name, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		var b [4]byte
		for _, f := range s.Data {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(f))
			if _, err := bw.Write(b[:]); err != nil {
				return err
			}
		}
		return bw.Flush()
	}}
}

// ReadSlab fills a slab from what SlabFile wrote; the lengths must agree.
func ReadSlab(root *os.Root, name string, s *param.Slab) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != 4*int64(len(s.Data)) {
		return fmt.Errorf("%w: %s has %d bytes, expected %d", ErrFormat, f.Name(), st.Size(), 4*len(s.Data))
	}
	r := bufio.NewReaderSize(f, 1<<20)
	var b [4]byte
	for i := range s.Data {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		s.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[:]))
	}
	return nil
}

// BytesFile is a file with the given content.
func BytesFile(name string, data []byte) File { return bytesFile(name, data) }

// ReadBytes reads a whole file of at most limit bytes.
func ReadBytes(root *os.Root, name string, limit int64) ([]byte, error) {
	return readSmall(root, name, limit)
}

// ReadJSON decodes a file of at most 64 MiB strictly.
func ReadJSON(root *os.Root, name string, into any) error {
	text, err := readSmall(root, name, maxConfig)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, filepath.Join(root.Name(), name), err)
	}
	return nil
}
