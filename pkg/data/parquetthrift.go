package data

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// thriftElements counts the elements of all lists in the struct of Thrift's compact
// protocol that data begins with, and fails where a length is longer than the data: the
// library allocates what lengths say. Source:
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
func thriftElements(data []byte) (int, error) {
	t := &thriftWalk{data: data}
	t.fields(0)
	return t.elements, t.err
}

// thriftDepth bounds nesting; a footer has six levels.
const thriftDepth = 32

type thriftWalk struct {
	data     []byte
	elements int
	err      error
}

func (t *thriftWalk) fail(err error) {
	if t.err == nil {
		t.err = err
	}
	t.data = nil
}

func (t *thriftWalk) skip(n uint64) {
	if n > uint64(len(t.data)) {
		t.fail(fmt.Errorf("a value of %d bytes where %d are left", n, len(t.data)))
		return
	}
	t.data = t.data[n:]
}

func (t *thriftWalk) byte() byte {
	if len(t.data) == 0 {
		t.fail(errTruncated)
		return 0
	}
	b := t.data[0]
	t.data = t.data[1:]
	return b
}

func (t *thriftWalk) varint() uint64 {
	x, n := binary.Uvarint(t.data)
	if n <= 0 {
		t.fail(errTruncated)
		return 0
	}
	t.data = t.data[n:]
	return x
}

// fields walks a struct to its end.
func (t *thriftWalk) fields(depth int) {
	if depth > thriftDepth {
		t.fail(errors.New("it is nested too deeply"))
	}
	for t.err == nil {
		b := t.byte()
		if b == 0 {
			return
		}
		if b>>4 == 0 {
			t.varint() // the field's number
		}
		if kind := b & 15; kind > 2 { // a boolean is in its kind
			t.value(kind, depth)
		}
	}
}

// value walks a value of a kind.
func (t *thriftWalk) value(kind byte, depth int) {
	switch kind {
	case 1, 2, 3: // a boolean in a list, a byte
		t.byte()
	case 4, 5, 6: // integers
		t.varint()
	case 7: // a double
		t.skip(8)
	case 8: // a string
		t.skip(t.varint())
	case 9, 10: // a list, a set
		b := t.byte()
		n := uint64(b >> 4)
		if n == 15 {
			n = t.varint()
		}
		if n > uint64(len(t.data)) {
			t.fail(fmt.Errorf("a list of %d elements where %d bytes are left", n, len(t.data)))
		}
		for ; n > 0 && t.err == nil; n-- {
			t.elements++
			t.value(b&15, depth+1)
		}
	case 12:
		t.fields(depth + 1)
	default:
		t.fail(fmt.Errorf("a value of kind %d", kind))
	}
}
