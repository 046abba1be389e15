package parquet

import (
	"hash/crc32"
	"math"
)

// Kinds of pages.
const (
	dataPage       = 0
	indexPage      = 1
	dictionaryPage = 2
	dataPageV2     = 3
)

// maxHeader bounds a page's header in bytes: statistics in it may hold a value.
const maxHeader = 1 << 20

// page is a page's header.
type page struct {
	kind        int
	plain       int // bytes of its body
	stored      int // and as they are in the file
	crc         uint32
	checked     bool // crc is there
	values      int  // those without a value too
	encoding    int
	levels      int // encoding of the definition levels, of version 1
	definitions int // bytes of levels before the values, of version 2
	repetitions int
	compressed  bool // the values of version 2
	described   bool
}

// header reads a page's header from the front of data and returns its length.
func header(data []byte) (p page, n int, err error) {
	t := &thrift{data: data[:min(len(data), maxHeader)]}
	p.compressed = true
	p.kind = -1
	t.fields(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftI32:
			p.kind = t.size("the kind")
		case id == 2 && kind == thriftI32:
			p.plain = t.size("the size")
		case id == 3 && kind == thriftI32:
			p.stored = t.size("the compressed size")
		case id == 4 && kind == thriftI32:
			p.crc, p.checked = uint32(t.varint()), true
		case (id == 5 || id == 7 || id == 8) && kind == thriftStruct:
			p.described = true
			t.fields(func(of int, kind byte) bool { return p.describe(t, id, of, kind) })
		default:
			return false
		}
		return true
	})
	if t.err != nil {
		return p, 0, bad("a page's header: %w", t.err)
	}
	return p, t.at, nil
}

// describe reads a field of a DataPageHeader (5), DictionaryPageHeader (7) or
// DataPageHeaderV2 (8).
func (p *page) describe(t *thrift, header, id int, kind byte) bool {
	switch {
	case id == 1 && kind == thriftI32:
		p.values = t.size("the number of values")
	case id == 2 && kind == thriftI32 && header != 8, id == 4 && kind == thriftI32 && header == 8:
		p.encoding = t.size("the encoding")
	case id == 3 && kind == thriftI32 && header == 5:
		p.levels = t.size("the encoding of levels")
	case id == 5 && kind == thriftI32 && header == 8:
		p.definitions = t.size("the size of the levels")
	case id == 6 && kind == thriftI32 && header == 8:
		p.repetitions = t.size("the size of the levels")
	case id == 7 && header == 8 && (kind == thriftTrue || kind == thriftFalse):
		p.compressed = kind == thriftTrue
	default:
		return false
	}
	return true
}

// check compares a page's checksum, where it has one, with its body.
func (p *page) check(body []byte) error {
	if p.checked && crc32.ChecksumIEEE(body) != p.crc {
		return bad("a page's checksum is %08x, its header says %08x: the file is damaged", crc32.ChecksumIEEE(body), p.crc)
	}
	return nil
}

// split parts the body of a data page in the definition levels and the values, both
// as they were before compression; there are no repetition levels.
func (p *page) split(body []byte, optional bool, codec int) (levels, values []byte, err error) {
	if p.kind == dataPageV2 {
		n := p.definitions
		if p.repetitions != 0 {
			return nil, nil, bad("a page of a column that does not repeat has %d bytes of repetition levels", p.repetitions)
		}
		if n > len(body) || n > p.plain {
			return nil, nil, bad("a page of %d bytes has %d bytes of levels", len(body), n)
		}
		if values = body[n:]; p.compressed {
			values, err = decompress(codec, values, p.plain-n)
		}
		return body[:n], values, err
	}
	if values, err = decompress(codec, body, p.plain); err != nil || !optional {
		return nil, values, err
	}
	if p.levels != encRLE {
		return nil, nil, bad("levels in encoding %d, expected %d (RLE)", p.levels, encRLE)
	}
	if len(values) < 4 {
		return nil, nil, bad("a page of %d bytes has no levels", len(values))
	}
	n := uint32(values[0]) | uint32(values[1])<<8 | uint32(values[2])<<16 | uint32(values[3])<<24
	if values = values[4:]; uint64(n) > uint64(len(values)) || n > math.MaxInt32 {
		return nil, nil, bad("a page of %d bytes has %d bytes of levels", len(values), n)
	}
	return values[:n], values[n:], nil
}
