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
func SlabFile(name string, s *param.Slab) File { return RunsFile(name, s.Data) }

// RunsFile is SlabFile of elements that lie in several runs, one after the other.
func RunsFile(name string, runs ...[]float32) File {
	write := func(w io.Writer) error {
		raw, done := make([]byte, 4*min(elements(runs), chunkElements)), 0
		for _, run := range runs {
			for at := 0; at < len(run); at += chunkElements {
				part := run[at:min(len(run), at+chunkElements)]
				if bad := Encode(raw[:4*len(part)], part, "F32"); bad >= 0 {
					return badNumber(name, done+at+bad, part[bad], "a state")
				}
				if _, err := w.Write(raw[:4*len(part)]); err != nil {
					return err
				}
			}
			done += len(run)
		}
		return nil
	}
	return File{Name: name, Write: write, Size: 4 * int64(elements(runs))}
}

func elements(runs [][]float32) (n int) {
	for _, run := range runs {
		n += len(run)
	}
	return n
}

// ReadSlab fills a slab from what SlabFile wrote; the lengths must agree.
func ReadSlab(root Root, name string, s *param.Slab) error { return ReadRuns(root, name, s.Data) }

// ReadRuns fills runs from what RunsFile wrote; the lengths of all together must agree.
func ReadRuns(root Root, name string, runs ...[]float32) error {
	f, size, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	n := elements(runs)
	if size != 4*int64(n) {
		return fmt.Errorf("%w: %s has %d bytes, expected %d: 4 for each of %d elements", ErrFormat, f.Name(), size, 4*n, n)
	}
	raw := make([]byte, 4*min(n, chunkElements))
	for _, run := range runs {
		for at := 0; at < len(run); at += chunkElements {
			part := run[at:min(len(run), at+chunkElements)]
			if _, err := io.ReadFull(f, raw[:4*len(part)]); err != nil {
				return fmt.Errorf("%s: %w", f.Name(), err)
			}
			Decode(part, raw, "F32")
		}
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
