package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFormat is returned when a file is not what this package reads; the message says
// what was found and what was expected.
var ErrFormat = errors.New("bad Parquet file")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, args...))
}

const (
	magic     = "PAR1"
	encrypted = "PARE"
	tail      = 8 // the footer's length and the magic
)

// column is what the footer says of the column that is read.
type column struct {
	index    int // among the schema's leaves
	optional bool
	chunks   []chunk
}

// chunk is the column's pages in one row group.
type chunk struct {
	codec     int
	values    int64 // rows, those without a value too
	from, end int64 // bytes of the file
}

// element is a node of the schema.
type element struct {
	name               string
	kind, repeat, kids int
	kindSet            bool
}

// readFooter finds the column of the given name.
func readFooter(r io.ReaderAt, size int64, name string) (column, error) {
	var c column
	if size < int64(len(magic)+tail) {
		return c, bad("%d bytes are too few for a Parquet file", size)
	}
	var head [4]byte
	var last [tail]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return c, err
	}
	if _, err := r.ReadAt(last[:], size-tail); err != nil {
		return c, err
	}
	if m := string(last[4:]); m == encrypted || string(head[:]) == encrypted {
		return c, bad("it is encrypted")
	} else if m != magic || string(head[:]) != magic {
		return c, bad("it begins with %q and ends with %q, expected %q: no Parquet file, or one that was cut off", head, m, magic)
	}
	n := int64(binary.LittleEndian.Uint32(last[:4]))
	if n > size-tail-int64(len(magic)) {
		return c, bad("its footer has %d bytes, the file %d", n, size)
	}
	data := make([]byte, n)
	if _, err := r.ReadAt(data, size-tail-n); err != nil {
		return c, err
	}
	t := &thrift{data: data}
	var schema []element
	var groups int // where the row groups begin: the schema must be known first
	t.fields(func(id int, kind byte) bool {
		switch {
		case id == 2 && kind == thriftList:
			t.elements(thriftStruct, func() { schema = append(schema, t.element()) })
		case id == 4 && kind == thriftList:
			groups = t.at
			return false
		default:
			return false
		}
		return true
	})
	if t.err != nil {
		return c, bad("its footer: %w", t.err)
	}
	if err := c.find(schema, name); err != nil {
		return c, err
	}
	if groups == 0 {
		return c, bad("its footer names no row groups")
	}
	t = &thrift{data: data, at: groups}
	body := size - tail - n
	t.elements(thriftStruct, func() { c.group(t, body) })
	if t.err != nil {
		return c, bad("column %q: row group %d: %w", name, len(c.chunks)+1, t.err)
	}
	return c, nil
}

// element reads a SchemaElement.
func (t *thrift) element() (e element) {
	named := false
	t.fields(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftI32:
			e.kind, e.kindSet = t.size("a type"), true
		case id == 3 && kind == thriftI32:
			e.repeat = t.size("a repetition")
		case id == 4 && kind == thriftBinary:
			e.name, named = string(t.binary()), true
		case id == 5 && kind == thriftI32:
			e.kids = t.size("the number of children")
		default:
			return false
		}
		return true
	})
	if !named {
		t.fail("an element of the schema has no name")
	}
	return e
}

// physical are the names of the physical types.
var physical = []string{"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"}

const (
	byteArray = 6
	required  = 0
	optional  = 1
)

// find looks for a leaf of that name right below the root.
func (c *column) find(schema []element, name string) error {
	if len(schema) == 0 || schema[0].kids == 0 {
		return bad("its schema has no columns")
	}
	at, leaves := 1, 0
	var names []string
	for range schema[0].kids {
		if at >= len(schema) {
			return bad("its schema has fewer elements than it says")
		}
		e := schema[at]
		count, used, err := under(schema, at)
		if err != nil {
			return err
		}
		if e.name == name {
			switch {
			case e.kids > 0:
				return bad("column %q is nested, expected text in each row", name)
			case !e.kindSet || e.kind != byteArray:
				found := fmt.Sprint(e.kind)
				if e.kind < len(physical) {
					found = physical[e.kind]
				}
				return bad("column %q is of type %s, expected BYTE_ARRAY (text)", name, found)
			case e.repeat != required && e.repeat != optional:
				return bad("column %q is repeated, expected one text in each row", name)
			}
			c.index, c.optional = leaves, e.repeat == optional
			return nil
		}
		if len(names) < 20 {
			names = append(names, fmt.Sprintf("%q", e.name))
		}
		leaves, at = leaves+count, at+used
	}
	return bad("it has no column %q, its columns are %s", name, strings.Join(names, ", "))
}

// under counts the leaves and all elements of the subtree at an element.
func under(schema []element, at int) (leaves, used int, err error) {
	for open := 1; open > 0; used++ {
		if at+used >= len(schema) {
			return 0, 0, bad("its schema has fewer elements than it says")
		}
		e := schema[at+used]
		if e.kids == 0 {
			leaves++
		}
		open += e.kids - 1
	}
	return leaves, used, nil
}

// group reads a RowGroup and keeps the chunk of the column; body is where the
// footer begins.
func (c *column) group(t *thrift, body int64) {
	found, i := false, 0
	t.fields(func(id int, kind byte) bool {
		if id != 1 || kind != thriftList {
			return false
		}
		t.elements(thriftStruct, func() {
			if i == c.index {
				c.chunk(t, body)
				found = true
			} else {
				t.skip(thriftStruct)
			}
			i++
		})
		return true
	})
	if t.err == nil && !found {
		t.fail("it has %d columns, expected number %d", i, c.index+1)
	}
}

// chunk reads a ColumnChunk.
func (c *column) chunk(t *thrift, body int64) {
	var k chunk
	var data, dictionary, length int64
	kind, meta := byteArray, false
	t.fields(func(id int, wire byte) bool {
		switch {
		case id == 1 && wire == thriftBinary:
			if name := t.binary(); len(name) > 0 {
				t.fail("its data is in another file, %q", name)
			}
		case id == 3 && wire == thriftStruct:
			meta = true
			t.fields(func(id int, wire byte) bool {
				switch {
				case id == 1 && wire == thriftI32:
					kind = t.size("the type")
				case id == 4 && wire == thriftI32:
					k.codec = t.size("the codec")
				case id == 5 && wire == thriftI64:
					k.values = t.offset("the number of values")
				case id == 7 && wire == thriftI64:
					length = t.offset("the compressed size")
				case id == 9 && wire == thriftI64:
					data = t.offset("the offset of the data")
				case id == 11 && wire == thriftI64:
					dictionary = t.offset("the offset of the dictionary")
				default:
					return false
				}
				return true
			})
		default:
			return false
		}
		return true
	})
	if t.err != nil {
		return
	}
	k.from = data
	if dictionary > 0 && dictionary < data {
		k.from = dictionary
	}
	switch {
	case !meta:
		t.fail("the column's description is missing or encrypted")
	case kind != byteArray:
		t.fail("its values are of type %d, expected %d (BYTE_ARRAY)", kind, byteArray)
	case k.from < int64(len(magic)) || length > body-k.from:
		t.fail("its data is at bytes %d to %d, expected within %d to %d", k.from, k.from+length, len(magic), body)
	}
	k.end = k.from + length
	if len(c.chunks) > 0 && t.err == nil && k.values > 0 {
		if last := c.chunks[len(c.chunks)-1]; k.from < last.end {
			t.fail("its data begins at byte %d, in the data of the row group before it, which ends at %d", k.from, last.end)
		}
	}
	if t.err == nil && k.values > 0 {
		c.chunks = append(c.chunks, k)
	}
}
