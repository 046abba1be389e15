package gguf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrFormat is returned when a file is not a GGUF file that this package reads.
var ErrFormat = errors.New("gguf: bad file")

const (
	maxKeys    = 1 << 16
	maxTensors = 1 << 20
	maxString  = 1 << 20 // bytes of a name or a value
	maxArray   = 1 << 24 // elements
)

// Info is one tensor of a file.
type Info struct {
	Shape  []int // row-major
	DType  string
	offset int64 // in the file
}

// File is the header of a GGUF file, and its data on demand.
type File struct {
	Keys    map[string]any // values as in KV; integers of other widths as uint32 or int32 where they fit, else as uint64 or int64; float64 as such
	Tensors map[string]Info
	r       io.ReaderAt
}

// Read reads the header of a file of size bytes and checks everything that it
// claims: no number leads to an allocation larger than the file, no tensor
// reaches outside of it or overlaps another.
func Read(r io.ReaderAt, size int64) (*File, error) {
	s := &scanner{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10), left: size, size: size}
	f, err := s.file()
	if err == nil {
		err = s.err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	f.r = r
	return f, nil
}

// Rows fills dst with the elements of a tensor from element `at` on, both whole
// blocks of its type.
func (f *File) Rows(name string, dst []float32, at int) error {
	t, ok := f.Tensors[name]
	if !ok {
		return fmt.Errorf("%w: no tensor %q", ErrFormat, name)
	}
	d := dtypes[t.DType]
	total := 1
	for _, n := range t.Shape {
		total *= n
	}
	if at < 0 || at+len(dst) > total || at%d.elements != 0 || len(dst)%d.elements != 0 {
		return fmt.Errorf("gguf: elements %d to %d of %s, which has %d in blocks of %d", at, at+len(dst), name, total, d.elements)
	}
	raw := make([]byte, d.size(int64(len(dst))))
	if _, err := f.r.ReadAt(raw, t.offset+d.size(int64(at))); err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrFormat, name, err)
	}
	decode(dst, raw, t.DType)
	return nil
}

// scanner reads the header; its first error sticks.
type scanner struct {
	r    *bufio.Reader
	left int64 // bytes of the file behind the reader
	size int64
	err  error
}

func (s *scanner) fail(format string, a ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, a...)
	}
}

func (s *scanner) bytes(n int64) []byte {
	if s.err == nil && n > s.left {
		s.fail("cut short: %d bytes are wanted, %d left", n, s.left)
	}
	if s.err != nil {
		return make([]byte, 8)[:min(n, 8)]
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.r, b); err != nil {
		s.fail("%w", err)
	}
	s.left -= n
	return b
}

func (s *scanner) u32() uint32 { return le.Uint32(s.bytes(4)) }
func (s *scanner) u64() uint64 { return le.Uint64(s.bytes(8)) }

// count is a number of things of at least least bytes each, below limit.
func (s *scanner) count(what string, limit, least int64) int {
	n := s.u64()
	if s.err == nil && (n > uint64(limit) || int64(n) > s.left/least) {
		s.fail("%d %s, expected at most %d in the %d bytes left", n, what, limit, s.left)
	}
	if s.err != nil {
		return 0
	}
	return int(n)
}

func (s *scanner) str() string {
	n := s.count("characters", maxString, 1)
	if s.err != nil {
		return ""
	}
	return string(s.bytes(int64(n)))
}

func (s *scanner) file() (*File, error) {
	if m := string(s.bytes(4)); s.err == nil && m != magic {
		return nil, fmt.Errorf("it begins with %q, expected %q", m, magic)
	}
	if v := s.u32(); s.err == nil && v != 2 && v != version {
		return nil, fmt.Errorf("version %d, expected 2 or 3", v)
	}
	tensors := s.count("tensors", maxTensors, 24)
	keys := s.count("keys", maxKeys, 13)
	f := &File{Keys: map[string]any{}, Tensors: map[string]Info{}}
	for i := 0; i < keys && s.err == nil; i++ {
		key := s.str()
		value := s.value(key, s.u32())
		if _, ok := f.Keys[key]; ok {
			s.fail("key %.80q twice", key)
		}
		f.Keys[key] = value
	}
	var order []string
	for i := 0; i < tensors && s.err == nil; i++ {
		name, info := s.tensor()
		if _, ok := f.Tensors[name]; ok {
			s.fail("tensor %.80q twice", name)
		}
		f.Tensors[name] = info
		order = append(order, name)
	}
	if s.err != nil {
		return nil, s.err
	}
	return f, s.place(f, order)
}

// tensor reads one tensor's claims; its offset is still that in the data.
func (s *scanner) tensor() (string, Info) {
	name := s.str()
	n := s.u32()
	if s.err == nil && (n < 1 || n > 4) {
		s.fail("tensor %.80q has %d dimensions, expected 1 to 4", name, n)
	}
	if s.err != nil {
		return "", Info{}
	}
	t := Info{Shape: make([]int, n)}
	elements := int64(1)
	for i := int(n) - 1; i >= 0; i-- {
		d := s.u64()
		if s.err == nil && (d < 1 || d > math.MaxInt32 || elements > math.MaxInt64/8/int64(d)) {
			s.fail("tensor %.80q has a dimension of %d", name, d)
			return "", t
		}
		t.Shape[i] = int(d)
		elements *= int64(d)
	}
	var err error
	if t.DType, err = dtypeName(s.u32()); err != nil {
		s.fail("tensor %.80q: %w", name, err)
	}
	offset := s.u64()
	if offset > math.MaxInt64/8 {
		s.fail("tensor %.80q is at %d", name, offset)
	}
	t.offset = int64(offset)
	return name, t
}

// place checks where the tensors lie, in the order of the list, one behind the
// other, and makes their offsets those of the file.
func (s *scanner) place(f *File, order []string) error {
	align := int64(alignment)
	if v, ok := f.Keys["general.alignment"]; ok {
		a, ok := v.(uint32)
		if !ok || a < 8 || a > 1<<20 || a&(a-1) != 0 {
			return fmt.Errorf("general.alignment is %v, expected a power of two from 8 to 2^20", v)
		}
		align = int64(a)
	}
	round := func(n int64) int64 { return (n + align - 1) / align * align }
	head := s.size - s.left
	start, end := round(head), int64(0)
	for _, name := range order {
		t := f.Tensors[name]
		d := dtypes[t.DType]
		elements := int64(1)
		for _, n := range t.Shape {
			elements *= int64(n)
		}
		if t.Shape[len(t.Shape)-1]%d.elements != 0 {
			return fmt.Errorf("tensor %.80q has rows of %d elements, expected a multiple of %d for %s", name, t.Shape[len(t.Shape)-1], d.elements, t.DType)
		}
		bytes := d.size(elements)
		if t.offset != round(end) || bytes > s.size-start-t.offset {
			return fmt.Errorf("tensor %.80q has %d bytes at %d, expected to begin at %d and end at most at %d", name, bytes, t.offset, round(end), s.size-start)
		}
		end = t.offset + bytes
		t.offset += start
		f.Tensors[name] = t
	}
	return nil
}
