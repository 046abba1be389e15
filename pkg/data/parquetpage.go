package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// parquetPage is what a data page belongs to.
type parquetPage struct {
	parquetChunk
	dictionary [][]byte
}

// parquetHeader reads the header of the page that data begins with, n bytes of it.
func parquetHeader(data []byte) (p *format.PageHeader, n int, err error) {
	// Statistics may hold long values: the library takes a length at its word.
	if _, err := thriftElements(data); err != nil {
		return nil, 0, fmt.Errorf("a page's header: %w", err)
	}
	p = new(format.PageHeader)
	c := thrift.CompactProtocol{}
	r := c.NewReaderFromBytes(data)
	if err := thrift.NewDecoder(r).Decode(p); err != nil {
		return nil, 0, fmt.Errorf("a page's header: %w", err)
	}
	data1, data2 := p.Type == format.DataPage, p.Type == format.DataPageV2
	if p.CompressedPageSize < 0 || p.UncompressedPageSize < 0 || parquetValues(p) < 0 ||
		data1 && !p.DataPageHeader.Valid || data2 && !p.DataPageHeaderV2.Valid {
		return nil, 0, errors.New("a page's header has negative sizes or describes no values")
	}
	return p, r.BytesRead(), nil
}

// parquetValues is the number of values of a data page, with those that are missing.
func parquetValues(p *format.PageHeader) int64 {
	if p.Type == format.DataPageV2 {
		return int64(p.DataPageHeaderV2.V.NumValues)
	}
	return int64(p.DataPageHeader.V.NumValues)
}

// page appends the texts of a data page.
func (f *parquetFile) page(rows [][]byte, c parquetPage, p *format.PageHeader, body []byte) ([][]byte, error) {
	n := parquetValues(p)
	if n > c.values {
		return nil, fmt.Errorf("a page of %d values in a chunk with %d left", n, c.values)
	}
	if err := f.take(2 * sliceBytes * n); err != nil { // the page's, then all
		return nil, err
	}
	levels, data, encoding, err := f.split(c, p, body)
	if err != nil {
		return nil, err
	}
	count := int(n)
	if c.optional {
		if err := hybrid(levels, 1, count); err != nil {
			return nil, fmt.Errorf("a page's levels: %w", err)
		}
		if levels, err = (&rle.Encoding{BitWidth: 1}).DecodeLevels(make([]byte, 0, count+8), levels); err != nil {
			return nil, err
		}
		if len(levels) < count {
			return nil, fmt.Errorf("a page's levels end before row %d of %d", len(levels)+1, count)
		}
		levels = levels[:count]
		count = bytes.Count(levels, []byte{1})
	}
	values, err := f.values(c, encoding, data, count)
	if err != nil {
		return nil, err
	}
	if !c.optional {
		return append(rows, values...), nil
	}
	for _, l := range levels {
		if l != 1 {
			rows = append(rows, nil)
			continue
		}
		rows, values = append(rows, values[0]), values[1:]
	}
	return rows, nil
}

// split decompresses a data page and finds its levels (where the column is optional)
// and its values.
func (f *parquetFile) split(c parquetPage, p *format.PageHeader, body []byte) (levels, data []byte, e format.Encoding, err error) {
	size := int(p.UncompressedPageSize)
	if p.Type == format.DataPageV2 {
		h := p.DataPageHeaderV2.V
		repeat, define := int(h.RepetitionLevelsByteLength), int(h.DefinitionLevelsByteLength)
		if repeat < 0 || define < 0 || repeat+define > min(len(body), size) {
			return nil, nil, 0, fmt.Errorf("a page whose levels are %d and %d bytes of %d", repeat, define, len(body))
		}
		levels, data = body[repeat:repeat+define], body[repeat+define:]
		if !h.IsCompressed.Valid || h.IsCompressed.V {
			data, err = f.decompress(c.codec, data, size-repeat-define)
		}
		return levels, data, h.Encoding, err
	}
	h := p.DataPageHeader.V
	if data, err = f.decompress(c.codec, body, size); err != nil || !c.optional {
		return nil, data, h.Encoding, err
	}
	if h.DefinitionLevelEncoding != format.RLE {
		return nil, nil, 0, fmt.Errorf("levels in encoding %s, expected RLE", h.DefinitionLevelEncoding)
	}
	n := 0
	if len(data) >= 4 {
		n = int(binary.LittleEndian.Uint32(data))
	}
	if len(data) < 4 || n > len(data)-4 {
		return nil, nil, 0, fmt.Errorf("a page whose levels are %d bytes of %d", n, len(data))
	}
	return data[4 : 4+n], data[4+n:], h.Encoding, nil
}

// values decodes count texts.
func (f *parquetFile) values(c parquetPage, e format.Encoding, data []byte, count int) ([][]byte, error) {
	switch e {
	case format.Plain:
		return f.plain(data, count)
	//lint:ignore SA1019 older writers name a dictionary's page so
	case format.PlainDictionary, format.RLEDictionary:
		return dictionaryTexts(data, count, c.dictionary)
	case format.DeltaLengthByteArray:
		if _, err := packed(data, count); err != nil {
			return nil, err
		}
		return cutTexts(count)(new(delta.LengthByteArrayEncoding).DecodeByteArray(nil, data, nil))
	case format.DeltaByteArray:
		suffixes, err := packed(data, count)
		if err == nil {
			_, err = packed(suffixes, count)
		}
		if err != nil {
			return nil, err
		}
		prefixes, err := new(delta.BinaryPackedEncoding).DecodeInt32(make([]int32, 0, count), data)
		if err != nil {
			return nil, err
		}
		size := int64(len(data))
		for _, n := range prefixes {
			size += int64(n)
		}
		if err := f.take(size); err != nil {
			return nil, err
		}
		return cutTexts(count)(new(delta.ByteArrayEncoding).DecodeByteArray(nil, data, nil))
	}
	return nil, fmt.Errorf("values in encoding %s, expected PLAIN, a dictionary, DELTA_LENGTH_BYTE_ARRAY or DELTA_BYTE_ARRAY", e)
}

// plain is count texts, each behind its length.
func (f *parquetFile) plain(data []byte, count int) ([][]byte, error) {
	if count < 0 || count > len(data)/4 {
		return nil, fmt.Errorf("%d texts in %d bytes", count, len(data))
	}
	if err := f.take(sliceBytes * int64(count)); err != nil {
		return nil, err
	}
	out := make([][]byte, count)
	for i := range out {
		if len(data) < 4 || int64(binary.LittleEndian.Uint32(data)) > int64(len(data)-4) {
			return nil, fmt.Errorf("text %d of %d is longer than the page", i+1, count)
		}
		n := 4 + int(binary.LittleEndian.Uint32(data))
		out[i], data = data[4:n:n], data[n:]
	}
	return out, nil
}

// cutTexts cuts what the library decoded into count texts.
func cutTexts(count int) func(all []byte, offsets []uint32, err error) ([][]byte, error) {
	return func(all []byte, offsets []uint32, err error) ([][]byte, error) {
		if err == nil && len(offsets) != count+1 {
			err = fmt.Errorf("a page of %d texts, expected %d", len(offsets)-1, count)
		}
		if err != nil {
			return nil, err
		}
		out := make([][]byte, count)
		for i := range out {
			out[i] = all[offsets[i]:offsets[i+1]:offsets[i+1]]
		}
		return out, nil
	}
}

// dictionaryTexts is count texts, each by its number in the dictionary.
func dictionaryTexts(data []byte, count int, dictionary [][]byte) ([][]byte, error) {
	if count == 0 {
		return nil, nil
	}
	if dictionary == nil || len(data) == 0 {
		return nil, errors.New("a page needs a dictionary, and none is before it")
	}
	width := int(data[0])
	if width > bits.UintSize/2 {
		return nil, fmt.Errorf("numbers of %d bits in a page", width)
	}
	if err := hybrid(data[1:], width, count); err != nil {
		return nil, err
	}
	at, err := (&rle.Encoding{BitWidth: width}).DecodeInt32(make([]int32, 0, count+8), data[1:])
	if err == nil && len(at) < count {
		err = fmt.Errorf("a page of %d texts, expected %d", len(at), count)
	}
	if err != nil {
		return nil, err
	}
	out := make([][]byte, count)
	for i := range out {
		if at[i] < 0 || int(at[i]) >= len(dictionary) {
			return nil, fmt.Errorf("text %d of a dictionary of %d", at[i], len(dictionary))
		}
		out[i] = dictionary[at[i]]
	}
	return out, nil
}
