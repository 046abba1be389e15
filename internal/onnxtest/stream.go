package onnxtest

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// stream reads the fields of a large message one by one, without its contents.
// The first error sticks, also for the streams of messages within.
type stream struct {
	r       io.ReaderAt
	at, end int64
	err     error
	parent  *stream

	kind protowire.Type // of the field that field has announced
}

func (s *stream) fail(format string, a ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, a...)
	}
}

func (s *stream) limit(what string, n, most int) {
	if n > most {
		s.fail("more than %d %s", most, what)
	}
}

func (s *stream) more() bool { return s.err == nil && s.at < s.end }

// varint reads a number, and is what a field of that type holds.
func (s *stream) varint() uint64 {
	var b [10]byte
	n := min(int64(len(b)), s.end-s.at)
	if s.err != nil || n <= 0 {
		s.fail("cut short at byte %d", s.at)
		return 0
	}
	if got, err := s.r.ReadAt(b[:n], s.at); err != nil && !(err == io.EOF && int64(got) == n) {
		s.fail("%w", err)
		return 0
	}
	x, size := protowire.ConsumeVarint(b[:n])
	if size < 0 {
		s.fail("byte %d: %w", s.at, protowire.ParseError(size))
		return 0
	}
	s.at += int64(size)
	return x
}

// field announces the next field.
func (s *stream) field() protowire.Number {
	n, kind := protowire.DecodeTag(s.varint())
	if s.err == nil && !n.IsValid() {
		s.fail("byte %d: field number %d", s.at, n)
	}
	s.kind = kind
	return n
}

// inner is the message that the announced field holds; its up returns here.
func (s *stream) inner() *stream {
	if s.kind != protowire.BytesType {
		s.fail("byte %d: wire type %d, expected bytes", s.at, s.kind)
	}
	n := s.varint()
	if s.err == nil && n > uint64(s.end-s.at) {
		s.fail("byte %d: a field of %d bytes, %d left", s.at, n, s.end-s.at)
	}
	in := &stream{r: s.r, at: s.at, end: s.at, err: s.err, parent: s}
	if s.err == nil {
		in.end += int64(n)
	}
	return in
}

// up goes on behind a message within.
func (s *stream) up() {
	s.parent.at = s.end
	if s.parent.err == nil {
		s.parent.err = s.err
	}
}

// small is the contents of a field of bytes that is not large.
func (s *stream) small() []byte {
	in := s.inner()
	n := in.end - in.at
	if n > maxMessage {
		in.fail("byte %d: a field of %d bytes, expected at most %d", in.at, n, maxMessage)
	}
	var b []byte
	if in.err == nil {
		b = make([]byte, n)
		if got, err := s.r.ReadAt(b, in.at); err != nil && int64(got) != n {
			in.fail("%w", err)
			b = nil
		}
	}
	in.up()
	return b
}

// skip leaves the announced field out.
func (s *stream) skip() {
	switch s.kind {
	case protowire.VarintType:
		s.varint()
	case protowire.Fixed32Type:
		s.at += 4
	case protowire.Fixed64Type:
		s.at += 8
	case protowire.BytesType:
		s.inner().up()
	default:
		s.fail("byte %d: wire type %d", s.at, s.kind)
	}
}

// dims reads dimensions: one, or a packed list.
func (s *stream) dims(to *[]int) {
	add := func(x uint64) {
		if x > math.MaxInt32 {
			s.fail("a dimension of %d", x)
			return
		}
		*to = append(*to, int(x))
	}
	if s.kind == protowire.VarintType {
		add(s.varint())
		return
	}
	for b := s.small(); len(b) > 0 && s.err == nil && len(*to) <= 16; {
		x, n := protowire.ConsumeVarint(b)
		if n < 0 {
			s.fail("byte %d: %w", s.at, protowire.ParseError(n))
			return
		}
		add(x)
		b = b[n:]
	}
}
