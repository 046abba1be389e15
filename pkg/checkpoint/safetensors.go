package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
)

// The safetensors format (https://github.com/huggingface/safetensors): eight
// bytes with the header's length, little endian; the header, a JSON object of
// name -> {dtype, shape, data_offsets} and optionally __metadata__; the data,
// without gaps.

// ErrFormat is returned when a file is not what its name says.
var ErrFormat = errors.New("checkpoint: bad file")

// maxHeader bounds a safetensors header in bytes, as the reference implementation does.
const maxHeader = 100 << 20

// entry is one tensor of a file.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

var dtypeBytes = map[string]int64{
	"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8,
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
		return nil, 0, fmt.Errorf("%w: header of %d bytes in a file of %d", ErrFormat, n, size)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil {
		return nil, 0, err
	}
	entries, err := decodeEntries(text)
	if err != nil {
		return nil, 0, err
	}
	return entries, 8 + int64(n), checkEntries(entries, size-8-int64(n))
}

// decodeEntries decodes the header, refusing a name that appears twice.
func decodeEntries(text []byte) (map[string]entry, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: the header is no JSON object", ErrFormat)
	}
	entries := map[string]entry{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: the header is damaged", ErrFormat)
		}
		if name == "__metadata__" {
			var skip map[string]string
			if err := dec.Decode(&skip); err != nil {
				return nil, fmt.Errorf("%w: __metadata__: %w", ErrFormat, err)
			}
			continue
		}
		if _, twice := entries[name]; twice {
			return nil, fmt.Errorf("%w: tensor %q appears twice", ErrFormat, name)
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
		}
		entries[name] = e
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: the header is cut short", ErrFormat)
	}
	if rest := bytes.TrimSpace(text[dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%w: the header goes on behind its end", ErrFormat)
	}
	return entries, nil
}

func checkEntries(entries map[string]entry, data int64) error {
	names := make([]string, 0, len(entries))
	for name, e := range entries {
		width, ok := dtypeBytes[e.DType]
		if !ok {
			return fmt.Errorf("%w: tensor %q has type %q", ErrFormat, name, e.DType)
		}
		n := width
		for _, d := range e.Shape {
			if d < 0 || d > 0 && n > data/d {
				return fmt.Errorf("%w: tensor %q has shape %v, more than the file's %d bytes", ErrFormat, name, e.Shape, data)
			}
			n *= d
		}
		if e.Offsets[0] < 0 || e.Offsets[1] > data || e.Offsets[1]-e.Offsets[0] != n {
			return fmt.Errorf("%w: tensor %q of shape %v and type %s lies at %v of %d bytes of data", ErrFormat, name, e.Shape, e.DType, e.Offsets, data)
		}
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := entries[names[i]].Offsets, entries[names[j]].Offsets
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	at := int64(0)
	for _, name := range names {
		if o := entries[name].Offsets; o[0] != at {
			return fmt.Errorf("%w: tensor %q begins at byte %d of the data, expected %d", ErrFormat, name, o[0], at)
		} else {
			at = o[1]
		}
	}
	if at != data {
		return fmt.Errorf("%w: %d bytes of data belong to no tensor", ErrFormat, data-at)
	}
	return nil
}

// header makes the header of a file that holds the tensors one after the other.
func header(tensors []placed, dtype string) ([]byte, error) {
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
		return nil, err
	}
	for (8+len(text))%8 != 0 { // the data are aligned to eight bytes
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
