package parquet

import (
	"fmt"
	"io"
)

// What a file may become. Text compresses three to tenfold, and a dictionary names
// what repeats once; a file that goes far beyond that is meant to fill the memory.
const (
	maxExpansion = 64       // bytes of text and of bookkeeping for a byte of the file
	maxSpare     = 16 << 20 // and for a small file
	sliceBytes   = 24       // of bookkeeping for a row
)

var errTooMuch = bad("it is far smaller than what it unfolds to (more than %d times its size and %d MiB): not read", maxExpansion, maxSpare>>20)

// Texts returns the texts of a column, one a row; nil stands for a row without one.
// size is the file's in bytes. Errors wrap ErrFormat where the file is to blame.
func Texts(r io.ReaderAt, size int64, name string) ([][]byte, error) {
	c, err := readFooter(r, size, name)
	if err != nil {
		return nil, err
	}
	u := &unfolder{column: c, left: maxExpansion*size + maxSpare}
	for i, k := range c.chunks {
		data := make([]byte, k.end-k.from) // no chunks overlap: together no more than the file
		if _, err := r.ReadAt(data, k.from); err != nil {
			return nil, err
		}
		if err := u.chunk(k, data); err != nil {
			return nil, fmt.Errorf("column %q, row group %d: %w", name, i+1, err)
		}
	}
	return u.texts, nil
}

// unfolder gathers texts.
type unfolder struct {
	column
	texts [][]byte
	left  int64 // bytes that may still be taken
}

func (u *unfolder) take(n int64) error {
	if u.left -= n; u.left < 0 {
		return errTooMuch
	}
	return nil
}

// chunk reads the pages of a chunk.
func (u *unfolder) chunk(k chunk, data []byte) error {
	if k.codec != uncompressed && k.codec != snappyCodec && k.codec != gzipCodec && k.codec != zstdCodec {
		_, err := decompress(k.codec, nil, 0)
		return err
	}
	var dictionary [][]byte
	known := false
	for k.values > 0 {
		p, n, err := header(data)
		if err != nil {
			return err
		}
		if p.stored > len(data)-n {
			return bad("a page of %d bytes in the %d that are left", p.stored, len(data)-n)
		}
		body := data[n : n+p.stored]
		data = data[n+p.stored:]
		if err := p.check(body); err != nil {
			return err
		}
		if err := u.take(int64(p.plain)); err != nil {
			return err
		}
		switch p.kind {
		case indexPage:
			continue
		case dictionaryPage:
			if known || !p.described || p.encoding != encPlain && p.encoding != encPlainDictionary {
				return bad("a dictionary that is the second, or in encoding %d, expected one in encoding %d (PLAIN)", p.encoding, encPlain)
			}
			plain, err := decompress(k.codec, body, p.plain)
			if err != nil {
				return err
			}
			if err := u.take(sliceBytes * int64(min(p.values, len(plain)/4+1))); err != nil {
				return err
			}
			if dictionary, err = plainValues(plain, p.values); err != nil {
				return err
			}
			known = true
		case dataPage, dataPageV2:
			if !p.described || int64(p.values) > k.values {
				return bad("a page of %d values in a chunk with %d left", p.values, k.values)
			}
			k.values -= int64(p.values)
			if err := u.page(p, body, k.codec, dictionary, known); err != nil {
				return err
			}
		default:
			return bad("a page of kind %d", p.kind)
		}
	}
	return nil
}

// page adds the texts of a data page.
func (u *unfolder) page(p page, body []byte, codec int, dictionary [][]byte, known bool) error {
	if err := u.take(2 * sliceBytes * int64(p.values)); err != nil { // the page's, then all
		return err
	}
	levels, data, err := p.split(body, u.optional, codec)
	if err != nil {
		return err
	}
	count := p.values
	var there []bool // which rows have a value; nil for all
	if u.optional {
		h := hybrid{data: levels, width: 1}
		there, count = make([]bool, p.values), 0
		for i := range there {
			v, ok := h.next()
			if !ok {
				return bad("a page's levels end before row %d of %d", i+1, p.values)
			}
			if there[i] = v == 1; there[i] {
				count++
			}
		}
	}
	var values [][]byte
	switch p.encoding {
	case encPlain:
		values, err = plainValues(data, count)
	case encPlainDictionary, encRLEDictionary:
		if !known {
			return bad("a page needs a dictionary, and none is before it")
		}
		values, err = dictionaryValues(data, count, dictionary)
	case encDeltaLength:
		values, err = deltaLengthValues(data, count)
	case encDelta:
		before := u.left
		if values, err = deltaValues(data, count, before); err == nil {
			for _, v := range values {
				u.left -= int64(len(v))
			}
		}
	default:
		return bad("values in encoding %d, expected PLAIN (%d), a dictionary (%d, %d), DELTA_LENGTH_BYTE_ARRAY (%d) or DELTA_BYTE_ARRAY (%d)",
			p.encoding, encPlain, encPlainDictionary, encRLEDictionary, encDeltaLength, encDelta)
	}
	if err != nil {
		return err
	}
	if there == nil {
		u.texts = append(u.texts, values...)
		return nil
	}
	for _, has := range there {
		if !has {
			u.texts = append(u.texts, nil)
			continue
		}
		u.texts, values = append(u.texts, values[0]), values[1:]
	}
	return nil
}
