package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/ecospa/ecospa/internal/mapped"
)

// The safetensors format (https://github.com/huggingface/safetensors): eight
// bytes with the header's length, little endian; the header, a JSON object of
// name -> {dtype, shape, data_offsets} and optionally __metadata__; the data,
// without gaps.

// ErrFormat is returned when a file is not what its name says.
var ErrFormat = errors.New("checkpoint: bad file")

// errFault is returned for a mapped file that changes or fails while it is read.
var errFault = fmt.Errorf("%w: %w", ErrFormat, mapped.ErrFault)

// guard is mapped.Guard with an error of this package.
func guard(f func() error) error {
	err := mapped.Guard(f)
	if errors.Is(err, mapped.ErrFault) {
		return errFault
	}
	return err
}

// maxHeader bounds a safetensors header in bytes, as the reference
// implementation does.
const maxHeader = 100_000_000

// entry is one tensor of a file.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// parseHeader reads the header of a file of size bytes and checks everything
// that it claims: known types, sizes that fit the shapes, data without overlap
// or gaps. It returns the entries and where the data begin.
func parseHeader(r io.ReaderAt, size int64) (map[string]entry, int64, error) {
	var length [8]byte
	if size < 8 {
		return nil, 0, fmt.Errorf("%w: %d bytes are no safetensors file", ErrFormat, size)
	}
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, 0, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n < 2 || n > maxHeader || int64(n) > size-8 {
		return nil, 0, fmt.Errorf("%w: a header of %d bytes, in a file of %d; expected 2 to %d", ErrFormat, n, size, min(maxHeader, size-8))
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil {
		return nil, 0, err
	}
	entries, err := decodeEntries(text)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if err := checkEntries(entries, size-8-int64(n)); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return entries, 8 + int64(n), nil
}

// decodeEntries decodes the header, refusing a name that appears twice.
func decodeEntries(text []byte) (map[string]entry, error) {
	entries := map[string]entry{}
	err := wholeObject(text, func(dec *json.Decoder, name string) error {
		if name == "__metadata__" {
			if err := eachText(dec, func(string, string) error { return nil }); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			return nil
		}
		e, err := decodeEntry(dec)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		entries[name] = e
		return nil
	})
	return entries, err
}

func decodeEntry(dec *json.Decoder) (e entry, err error) {
	missing := map[string]bool{"dtype": true, "shape": true, "data_offsets": true}
	err = eachKey(dec, func(key string) error {
		delete(missing, key)
		switch key {
		case "dtype":
			t, err := dec.Token()
			if err != nil {
				return err
			}
			s, ok := t.(string)
			if dtypeBytes[s] == 0 || !ok {
				return fmt.Errorf("dtype is %s, which is not a type of safetensors", tokenName(t))
			}
			e.DType = s
		case "shape":
			if e.Shape, err = integers(dec, maxRank); err != nil {
				return fmt.Errorf("shape %w", err)
			}
		case "data_offsets":
			o, err := integers(dec, 2)
			if err == nil && len(o) != 2 {
				err = fmt.Errorf("has %d numbers, expected 2", len(o))
			}
			if err != nil {
				return fmt.Errorf("data_offsets %w", err)
			}
			e.Offsets = [2]int64(o)
		default:
			return fmt.Errorf("unknown key %s", quote(key))
		}
		return nil
	})
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if err == nil && missing[key] {
			err = fmt.Errorf("no %s", key)
		}
	}
	return e, err
}

// bytes is how long the tensor's data are by type and shape; ok is false when
// that overflows.
func (e entry) bytes() (n int64, ok bool) {
	n = dtypeBytes[e.DType]
	for _, d := range e.Shape {
		if d == 0 {
			return 0, true
		}
	}
	for _, d := range e.Shape {
		if n > math.MaxInt64/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// checkEntries checks that the entries share out exactly data bytes.
func checkEntries(entries map[string]entry, data int64) error {
	names := make([]string, 0, len(entries))
	for name, e := range entries {
		n, ok := e.bytes()
		switch o := e.Offsets; {
		case ok && o[1]-o[0] == n && o[0] <= o[1] && o[1] > data:
			return fmt.Errorf("tensor %s has bytes %d to %d of the data, but the file ends after %d: was it copied whole?", quote(name), o[0], o[1], data)
		case !ok || o[0] > o[1] || o[1] > data || o[1]-o[0] != n:
			return fmt.Errorf("tensor %s of shape %v and type %s needs %s and has bytes %d to %d of %d", quote(name), e.Shape, e.DType, amount(n, ok), o[0], o[1], data)
		}
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := entries[names[i]].Offsets, entries[names[j]].Offsets
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	at := int64(0)
	for _, name := range names {
		o := entries[name].Offsets
		if o[0] != at {
			return fmt.Errorf("tensor %s begins at byte %d of the data, expected %d: data overlap or leave a gap", quote(name), o[0], at)
		}
		at = o[1]
	}
	if at != data {
		return fmt.Errorf("%d bytes of data belong to no tensor", data-at)
	}
	return nil
}

func amount(n int64, ok bool) string {
	if !ok {
		return "more than 2^63 bytes"
	}
	return fmt.Sprintf("%d bytes", n)
}

// header makes the header of a file that holds the tensors one after the other,
// and returns how many bytes of data follow.
func header(tensors []placed, dtype string) ([]byte, int64, error) {
	entries := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	at := int64(0)
	for _, t := range tensors {
		n := dtypeBytes[dtype]
		shape := make([]int64, len(t.shape))
		for i, d := range t.shape {
			shape[i] = int64(d)
			n *= int64(d)
		}
		entries[t.Name] = entry{dtype, shape, [2]int64{at, at + n}}
		at += n
	}
	text, err := json.Marshal(entries) // keys come out sorted
	if err != nil {
		return nil, 0, err
	}
	for (8+len(text))%8 != 0 { // the data are aligned to eight bytes
		text = append(text, ' ')
	}
	if len(text) > maxHeader {
		return nil, 0, fmt.Errorf("checkpoint: a header of %d bytes, expected at most %d", len(text), maxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), at, nil
}
