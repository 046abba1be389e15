package data

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	parquetMagic     = "PAR1"
	parquetEncrypted = "PARE"
	parquetTail      = 8 // length of the footer and the magic
	// structBytes is what an element of a list of the footer takes in memory, at most.
	structBytes = 512
)

// parquetFooter is a file's description of itself.
type parquetFooter struct {
	meta format.FileMetaData
	body int64 // where the footer begins
}

// parquetColumn is a leaf of the schema with a text, or none, in each row.
type parquetColumn struct {
	index    int
	optional bool
	list     *parquetList // a list of structs instead, see lists

	into   *leafValues // of a leaf of such a list: where its values go,
	define int         // and the definition level of a text that is there
}

// parquetChunk is a column's part of a row group.
type parquetChunk struct {
	parquetColumn
	codec     format.CompressionCodec
	values    int64
	from, end int64 // in the file
}

// readFooter reads the footer of a file of size bytes.
func (f *parquetFile) readFooter(size int64) error {
	if size < int64(len(parquetMagic))+parquetTail {
		return fmt.Errorf("%d bytes are too few", size)
	}
	var head [len(parquetMagic)]byte
	var last [parquetTail]byte
	if _, err := f.r.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := f.r.ReadAt(last[:], size-parquetTail); err != nil {
		return err
	}
	if m := string(last[4:]); m == parquetEncrypted || string(head[:]) == parquetEncrypted {
		return fmt.Errorf("it is encrypted")
	} else if m != parquetMagic || string(head[:]) != parquetMagic {
		return fmt.Errorf("it begins with %q and ends with %q, expected %q: no Parquet file, or one that was cut off", head, m, parquetMagic)
	}
	n := int64(binary.LittleEndian.Uint32(last[:4]))
	f.body = size - parquetTail - n
	if f.body < int64(len(parquetMagic)) {
		return fmt.Errorf("its footer has %d bytes, the file %d", n, size)
	}
	if err := f.take(n); err != nil {
		return err
	}
	data := make([]byte, n)
	if _, err := f.r.ReadAt(data, f.body); err != nil {
		return err
	}
	elements, err := thriftElements(data)
	if err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	if err := f.take(structBytes * int64(elements)); err != nil {
		return err
	}
	p := thrift.CompactProtocol{}
	if err := thrift.NewDecoder(p.NewReaderFromBytes(data)).Decode(&f.meta); err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	return nil
}

// column looks for a leaf of that name right below the root.
func (f *parquetFooter) column(name string) (c parquetColumn, err error) {
	schema := f.meta.Schema
	if len(schema) == 0 || schema[0].NumChildren.V <= 0 {
		return c, fmt.Errorf("its schema has no columns")
	}
	at := 1
	var names []string
	for range int(schema[0].NumChildren.V) {
		if at >= len(schema) {
			return c, fmt.Errorf("its schema has fewer elements than it says")
		}
		e := schema[at]
		if e.Name == name {
			kids, repeat := e.NumChildren.V, e.RepetitionType.V
			switch {
			case kids > 0:
				if c.list, err = f.list(at, c.index); err != nil {
					err = fmt.Errorf("column %q is nested, %w", name, err)
				}
			case !e.Type.Valid || e.Type.V != format.ByteArray:
				err = fmt.Errorf("column %q is of type %s, expected BYTE_ARRAY (text)", name, e.Type.V)
			case repeat != format.Required && repeat != format.Optional:
				err = fmt.Errorf("column %q is repeated, expected one text in each row", name)
			}
			c.optional = repeat == format.Optional
			return c, err
		}
		if len(names) < 20 {
			names = append(names, fmt.Sprintf("%q", e.Name))
		}
		// The leaves below this element stand before the next.
		for open := 1; open > 0; at++ {
			if at >= len(schema) {
				return c, fmt.Errorf("its schema has fewer elements than it says")
			}
			kids := max(0, int(schema[at].NumChildren.V))
			if kids == 0 {
				c.index++
			}
			open += kids - 1
		}
	}
	return c, missingField(fmt.Sprintf("it has no column %q, its columns are %s", name, strings.Join(names, ", ")))
}

// chunk is a column's part of row group i.
func (f *parquetFooter) chunk(c parquetColumn, i int) (k parquetChunk, err error) {
	columns := f.meta.RowGroups[i].Columns
	if c.index >= len(columns) {
		return k, fmt.Errorf("it has %d columns, expected number %d", len(columns), c.index+1)
	}
	m := columns[c.index].MetaData
	k = parquetChunk{c, m.Codec, m.NumValues, m.DataPageOffset, 0}
	if d := m.DictionaryPageOffset; d > 0 && d < k.from {
		k.from = d
	}
	switch {
	case columns[c.index].FilePath != "":
		err = fmt.Errorf("its data is in another file, %q", columns[c.index].FilePath)
	case m.Type != format.ByteArray:
		err = fmt.Errorf("its values are of type %s, expected BYTE_ARRAY", m.Type)
	case k.values < 0 || m.TotalCompressedSize < 0 || k.from < int64(len(parquetMagic)) || m.TotalCompressedSize > f.body-k.from:
		err = fmt.Errorf("its %d values are %d bytes from %d on, expected within bytes %d to %d", k.values, m.TotalCompressedSize, k.from, len(parquetMagic), f.body)
	case k.codec != format.Uncompressed && k.codec != format.Snappy && k.codec != format.Gzip && k.codec != format.Zstd:
		err = fmt.Errorf("it is compressed with %s, expected UNCOMPRESSED, SNAPPY, GZIP or ZSTD", k.codec)
	}
	k.end = k.from + m.TotalCompressedSize
	return k, err
}
