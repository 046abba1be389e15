package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// maxDepth bounds structures within structures.
const maxDepth = 16

// thrift decodes the compact protocol from bytes in memory. Its first error stays,
// and everything that is read behind it is zero.
type thrift struct {
	data  []byte
	at    int
	depth int
	err   error
}

func (t *thrift) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

func (t *thrift) byte() byte {
	if t.err != nil || t.at >= len(t.data) {
		t.fail("it ends early")
		return 0
	}
	t.at++
	return t.data[t.at-1]
}

func (t *thrift) uvarint() uint64 {
	if t.err != nil {
		return 0
	}
	v, n := binary.Uvarint(t.data[t.at:])
	if n <= 0 {
		t.fail("a number is cut off or too long")
		return 0
	}
	t.at += n
	return v
}

// varint is a signed number of any width.
func (t *thrift) varint() int64 {
	v := t.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// size is a number that must fit an int32 and not be negative.
func (t *thrift) size(what string) int {
	v := t.varint()
	if v < 0 || v > math.MaxInt32 {
		t.fail("%s is %d", what, v)
		return 0
	}
	return int(v)
}

// offset is a number that must not be negative.
func (t *thrift) offset(what string) int64 {
	v := t.varint()
	if v < 0 {
		t.fail("%s is %d", what, v)
		return 0
	}
	return v
}

// binary is a string's bytes, within data.
func (t *thrift) binary() []byte {
	n := t.uvarint()
	if t.err == nil && n > uint64(len(t.data)-t.at) {
		t.fail("a string of %d bytes in the %d that are left", n, len(t.data)-t.at)
	}
	if t.err != nil {
		return nil
	}
	t.at += int(n)
	return t.data[t.at-int(n) : t.at]
}

// fields reads a structure: f is called with each field's number and type and
// returns false for one that it has not read.
func (t *thrift) fields(f func(id int, kind byte) bool) {
	if t.depth++; t.depth > maxDepth {
		t.fail("more than %d structures within each other", maxDepth)
	}
	for id := 0; t.err == nil; {
		head := t.byte()
		if head == 0 {
			break
		}
		if step := int(head >> 4); step != 0 {
			id += step
		} else {
			id = int(t.varint())
		}
		if kind := head & 15; t.err == nil && !f(id, kind) {
			t.skip(kind)
		}
	}
	t.depth--
}

// elements reads a list: f is called once for each.
func (t *thrift) elements(want byte, f func()) {
	n, kind := t.list()
	if t.err == nil && n > 0 && kind != want {
		t.fail("a list of type %d where one of type %d belongs", kind, want)
	}
	for ; n > 0 && t.err == nil; n-- {
		f()
	}
}

// list reads a list's head. A list has no more elements than bytes.
func (t *thrift) list() (n int, kind byte) {
	head := t.byte()
	count := uint64(head >> 4)
	if count == 15 {
		count = t.uvarint()
	}
	if t.err == nil && count > uint64(len(t.data)-t.at) {
		t.fail("a list of %d elements in the %d bytes that are left", count, len(t.data)-t.at)
	}
	if t.err != nil {
		return 0, 0
	}
	return int(count), head & 15
}

// skip passes over a value.
func (t *thrift) skip(kind byte) {
	switch kind {
	case thriftTrue, thriftFalse: // in the field's head
	case thriftByte:
		t.byte()
	case thriftI16, thriftI32, thriftI64:
		t.uvarint()
	case thriftDouble:
		t.pass(8)
	case thriftUUID:
		t.pass(16)
	case thriftBinary:
		t.binary()
	case thriftList, thriftSet:
		n, kind := t.list()
		t.skipElements(n, kind)
	case thriftMap:
		if n := t.uvarint(); n > 0 {
			kinds := t.byte()
			if n > uint64(len(t.data)-t.at) {
				t.fail("a map of %d elements in the %d bytes that are left", n, len(t.data)-t.at)
				return
			}
			for ; n > 0 && t.err == nil; n-- {
				t.skipElements(1, kinds>>4)
				t.skipElements(1, kinds&15)
			}
		}
	case thriftStruct:
		t.fields(func(int, byte) bool { return false })
	default:
		t.fail("type %d is none", kind)
	}
}

func (t *thrift) skipElements(n int, kind byte) {
	if t.depth++; t.depth > maxDepth {
		t.fail("more than %d lists within each other", maxDepth)
	}
	for ; n > 0 && t.err == nil; n-- {
		if kind == thriftTrue || kind == thriftFalse {
			t.byte() // in a list a truth value takes a byte
		} else {
			t.skip(kind)
		}
	}
	t.depth--
}

func (t *thrift) pass(n int) {
	if t.err == nil && n > len(t.data)-t.at {
		t.fail("it ends early")
	}
	if t.err == nil {
		t.at += n
	}
}
