package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// Columns of lists of messages, {role, content} or {from, value}: what the datasets library
// writes of chats. A row of such a column is read as the JSON of its list.

// parquetList is a column that is a list of structs, by its leaves of text.
type parquetList struct {
	leaves []parquetLeaf
	row    int // definition level from which on a row has a list
	filled int // and from which on that list has an element
}

// parquetLeaf is a leaf of the elements.
type parquetLeaf struct {
	name   string
	column parquetColumn
	levels int // definition level of a text that is there
}

// messageKeys are the leaves that are read.
var messageKeys = map[string]bool{"role": true, "content": true, "from": true, "value": true}

// list describes the column of that name at schema element at, whose first leaf is index.
func (f *parquetFooter) list(at, index int) (*parquetList, error) {
	s := &schemaWalk{elements: f.meta.Schema, at: at, index: index}
	l := &parquetList{}
	outer := s.next()
	level := optional(outer)
	l.row = level
	if outer.NumChildren.V != 1 || outer.RepetitionType.V == format.Repeated {
		return nil, errNoList
	}
	element := s.next() // the repeated group, or the element itself
	if element.RepetitionType.V != format.Repeated || element.NumChildren.V < 1 {
		return nil, errNoList
	}
	level++
	l.filled = level
	if element.NumChildren.V == 1 && s.peek().NumChildren.V > 0 {
		element = s.next()
		level += optional(element)
	}
	for range int(element.NumChildren.V) {
		e, leaf := s.next(), s.index
		if e.NumChildren.V > 0 || e.RepetitionType.V == format.Repeated {
			if messageKeys[e.Name] {
				return nil, fmt.Errorf("its %s is nested, expected text", e.Name)
			}
			s.skip(e)
			continue
		}
		s.index++
		if messageKeys[e.Name] && e.Type.Valid && e.Type.V == format.ByteArray {
			l.leaves = append(l.leaves, parquetLeaf{e.Name, parquetColumn{index: leaf}, level + optional(e)})
		}
	}
	if s.over || len(l.leaves) == 0 {
		return nil, errNoList
	}
	return l, nil
}

var errNoList = errors.New("expected text in each row, or a list of {role, content} or {from, value}")

// optional is the definition level that an element adds.
func optional(e format.SchemaElement) int {
	if e.RepetitionType.V == format.Optional {
		return 1
	}
	return 0
}

// schemaWalk goes through a flattened schema; over says that it ended too early.
type schemaWalk struct {
	elements  []format.SchemaElement
	at, index int
	over      bool
}

func (s *schemaWalk) peek() format.SchemaElement {
	if s.at >= len(s.elements) {
		s.over = true
		return format.SchemaElement{}
	}
	return s.elements[s.at]
}

func (s *schemaWalk) next() format.SchemaElement {
	e := s.peek()
	s.at++
	return e
}

// skip passes over what is below an element.
func (s *schemaWalk) skip(e format.SchemaElement) {
	for open := int(max(0, e.NumChildren.V)); open > 0 && !s.over; open-- {
		k := s.next()
		if k.NumChildren.V > 0 {
			open += int(k.NumChildren.V)
		} else {
			s.index++
		}
	}
	if e.NumChildren.V <= 0 {
		s.index++
	}
}

// leafValues is a leaf of a row group: for each entry whether it begins a row, how much of
// it is there, and its text.
type leafValues struct {
	repeat, define []byte
	texts          [][]byte // of the entries whose text is there
}

// lists reads a column of lists of row group g as JSON, nil for a row without a list. end
// is where the data of the groups before it ended, by leaf.
func (f *parquetFile) lists(l *parquetList, g int, end []int64) (rows [][]byte, err error) {
	all := make([]leafValues, len(l.leaves))
	for i, leaf := range l.leaves {
		c := leaf.column
		c.into, c.define = &all[i], leaf.levels
		if _, err := f.texts(c, g, &end[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", leaf.name, err)
		}
		if !bytes.Equal(all[i].repeat, all[0].repeat) {
			return nil, fmt.Errorf("%s and %s have lists of different lengths", l.leaves[0].name, leaf.name)
		}
	}
	var messages []map[string]string
	there := false
	flush := func() error {
		var row []byte
		if there {
			if row, err = json.Marshal(messages); err != nil {
				return err
			}
		}
		rows = append(rows, row)
		return f.take(int64(len(row)) + 2*sliceBytes)
	}
	for n := range all[0].repeat {
		if all[0].repeat[n] == 0 {
			if n > 0 {
				if err := flush(); err != nil {
					return nil, err
				}
			}
			messages, there = []map[string]string{}, int(all[0].define[n]) >= l.row
		}
		if int(all[0].define[n]) < l.filled {
			continue
		}
		m := map[string]string{}
		for i, leaf := range l.leaves {
			if v := &all[i]; int(v.define[n]) == leaf.levels {
				m[leaf.name], v.texts = string(v.texts[0]), v.texts[1:]
			}
		}
		messages = append(messages, m)
	}
	if len(all[0].repeat) > 0 {
		err = flush()
	}
	return rows, err
}

// leafPage appends a data page of a leaf of a list.
func (f *parquetFile) leafPage(c parquetPage, p *format.PageHeader, body []byte) error {
	n := int(parquetValues(p))
	if int64(n) > c.values {
		return fmt.Errorf("a page of %d values in a chunk with %d left", n, c.values)
	}
	if err := f.take(2 * (sliceBytes + 2) * int64(n)); err != nil {
		return err
	}
	repeat, define, data, encoding, err := f.splitLeaf(c, p, body)
	if err != nil {
		return err
	}
	if repeat, err = levels(repeat, 1, n); err != nil {
		return err
	}
	if define, err = levels(define, c.define, n); err != nil {
		return err
	}
	if v := c.into; len(v.repeat) == 0 && n > 0 && repeat[0] != 0 {
		return errors.New("its first list has no beginning")
	}
	texts, err := f.values(c, encoding, data, bytes.Count(define, []byte{byte(c.define)}))
	v := c.into
	v.repeat, v.define, v.texts = append(v.repeat, repeat...), append(v.define, define...), append(v.texts, texts...)
	return err
}

// levels decodes n levels of at most most.
func levels(data []byte, most, n int) ([]byte, error) {
	width := bits.Len(uint(most))
	if err := hybrid(data, width, n); err != nil {
		return nil, fmt.Errorf("a page's levels: %w", err)
	}
	out, err := (&rle.Encoding{BitWidth: width}).DecodeLevels(make([]byte, 0, n+8), data)
	if err == nil && len(out) < n {
		err = fmt.Errorf("a page's levels end before %d of %d", len(out)+1, n)
	}
	if err != nil {
		return nil, err
	}
	for _, l := range out[:n] {
		if int(l) > most {
			return nil, fmt.Errorf("a level of %d, expected at most %d", l, most)
		}
	}
	return out[:n], nil
}

// splitLeaf decompresses a data page and finds its levels and values.
func (f *parquetFile) splitLeaf(c parquetPage, p *format.PageHeader, body []byte) (repeat, define, data []byte, e format.Encoding, err error) {
	if p.Type == format.DataPageV2 {
		h := p.DataPageHeaderV2.V
		if define, data, e, err = f.split(c, p, body); err == nil {
			repeat = body[:h.RepetitionLevelsByteLength]
		}
		return repeat, define, data, e, err
	}
	h := p.DataPageHeader.V
	if data, err = f.decompress(c.codec, body, int(p.UncompressedPageSize)); err != nil {
		return nil, nil, nil, 0, err
	}
	if h.DefinitionLevelEncoding != format.RLE || h.RepetitionLevelEncoding != format.RLE {
		return nil, nil, nil, 0, fmt.Errorf("levels in encodings %s and %s, expected RLE", h.RepetitionLevelEncoding, h.DefinitionLevelEncoding)
	}
	for _, to := range []*[]byte{&repeat, &define} {
		if len(data) < 4 || int64(binary.LittleEndian.Uint32(data)) > int64(len(data)-4) {
			return nil, nil, nil, 0, errTruncated
		}
		n := 4 + int(binary.LittleEndian.Uint32(data))
		*to, data = data[4:n], data[n:]
	}
	return repeat, define, data, h.Encoding, nil
}
