package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/param"
)

// Trainer state is stored beside the model in a checkpoint: JSON files, and
// slabs as raw little-endian float32. The manifest vouches for all of them.

// SlabFile is a slab's elements, bit for bit. A number that is not finite is an
// ErrNonFinite: such a state is not worth going on from.
func SlabFile(name string, s *param.Slab) File {
	write := func(w io.Writer) error {
		raw := make([]byte, 4*min(len(s.Data), chunkElements))
		for at := 0; at < len(s.Data); at += chunkElements {
			part := s.Data[at:min(len(s.Data), at+chunkElements)]
			if bad := Encode(raw[:4*len(part)], part, "F32"); bad >= 0 {
				return badNumber(name, at+bad, part[bad], "a state")
			}
			if _, err := w.Write(raw[:4*len(part)]); err != nil {
				return err
			}
		}
		return nil
	}
	return File{Name: name, Write: write, Size: 4 * int64(len(s.Data))}
}

// ReadSlab fills a slab from what SlabFile wrote; the lengths must agree.
func ReadSlab(root Root, name string, s *param.Slab) error {
	f, size, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if size != 4*int64(len(s.Data)) {
		return fmt.Errorf("%w: %s has %d bytes, expected %d: 4 for each of %d elements", ErrFormat, f.Name(), size, 4*len(s.Data), len(s.Data))
	}
	raw := make([]byte, 4*min(len(s.Data), chunkElements))
	for at := 0; at < len(s.Data); at += chunkElements {
		part := s.Data[at:min(len(s.Data), at+chunkElements)]
		if _, err := io.ReadFull(f, raw[:4*len(part)]); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		Decode(part, raw, "F32")
	}
	return nil
}

// ReadBytes reads a whole file of at most limit bytes.
func ReadBytes(root Root, name string, limit int64) ([]byte, error) {
	return readSmall(root, name, limit)
}

// ReadJSON decodes a file of at most 64 MiB that JSONFile wrote: one value, and
// no key that the type does not have.
func ReadJSON(root Root, name string, into any) error {
	text, err := readSmall(root, name, maxConfig)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err = dec.Decode(into)
	if err == nil && len(bytes.TrimSpace(text[dec.InputOffset():])) > 0 {
		err = errors.New("something follows the value")
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, filepath.Join(root.Name(), name), err)
	}
	return nil
}
