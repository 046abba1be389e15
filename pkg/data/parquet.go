package data

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/ecospa/ecospa/pkg/chat"
)

// What a Parquet file may become. Text compresses three to tenfold, and a dictionary
// names what repeats once; a file that goes far beyond that is meant to fill the memory.
const (
	parquetExpansion = 64       // bytes of text and of bookkeeping for a byte of the file
	parquetSpare     = 16 << 20 // and for a small file
	sliceBytes       = 24       // of bookkeeping for a row
)

var errExpands = fmt.Errorf("it is far smaller than what it unfolds to (more than %d times its size and %d MiB): not read", parquetExpansion, parquetSpare>>20)

// parquetFile reads columns of text. The library decodes footers, pages and encodings;
// what each of them may take is compared with the file first, since all of them trust
// the sizes that they find.
type parquetFile struct {
	parquetFooter
	r    io.ReaderAt
	left int64 // bytes that may still be taken
}

func (f *parquetFile) take(n int64) error {
	if f.left -= n; f.left < 0 {
		return errExpands
	}
	return nil
}

// parquetRows gives each row of a file as the texts of columns; nil stands for a column
// without one. Row groups are in memory one at a time. Without columns it takes those that
// may make up a chat, and says which.
func parquetRows(r io.ReaderAt, size int64, columns []string, each func(names []string, row int, texts [][]byte) error) error {
	f := &parquetFile{r: r, left: parquetExpansion*size + parquetSpare}
	if err := f.readFooter(size); err != nil {
		return bad(err)
	}
	names := columns
	if columns == nil {
		var err error
		if names, err = f.chatColumns(); err != nil {
			return bad(err)
		}
	}
	all := make([]parquetColumn, len(names))
	for i, name := range names {
		var err error
		if all[i], err = f.column(name); err == nil && all[i].list != nil && columns != nil {
			err = fmt.Errorf("column %q is nested, it has lists of messages, expected text in each row", name)
		}
		if err != nil {
			return bad(err)
		}
		if all[i].list != nil {
			names[i] += listMark
		}
	}
	ends, row := make([][]int64, len(all)), 0
	for i, c := range all {
		ends[i] = make([]int64, 1)
		if c.list != nil {
			ends[i] = make([]int64, len(c.list.leaves))
		}
	}
	for g := range f.meta.RowGroups {
		texts, err := f.group(g, all, names, ends)
		if err != nil {
			return bad(err)
		}
		for i := range texts[0] {
			values := make([][]byte, len(texts))
			for c := range texts {
				values[c] = texts[c][i]
			}
			row++
			if err := each(names, row, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// bad is an error of the file's own.
func bad(err error) error { return fmt.Errorf("bad Parquet file: %w", err) }

// group is the texts of a row group, by column; ends is where the columns' data of the
// groups before it ended.
func (f *parquetFile) group(g int, all []parquetColumn, names []string, ends [][]int64) (texts [][][]byte, err error) {
	defer func() {
		// The library panics on some damaged pages.
		if p := recover(); p != nil {
			texts, err = nil, fmt.Errorf("damaged: %v", p)
		}
	}()
	for i, c := range all {
		var rows [][]byte
		if c.list != nil {
			rows, err = f.lists(c.list, g, ends[i])
		} else {
			rows, err = f.texts(c, g, &ends[i][0])
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: row group %d: %w", names[i], g+1, err)
		}
		if texts = append(texts, rows); len(rows) != len(texts[0]) {
			return nil, fmt.Errorf("row group %d: columns of %d and %d rows", g+1, len(texts[0]), len(rows))
		}
	}
	return texts, nil
}

// texts reads one column of row group g.
func (f *parquetFile) texts(c parquetColumn, g int, end *int64) ([][]byte, error) {
	k, err := f.chunk(c, g)
	if err == nil && k.values > 0 && k.from < *end {
		err = fmt.Errorf("its data begins at byte %d, in that of the row group before it, which ends at %d", k.from, *end)
	}
	if err != nil || k.values == 0 {
		return nil, err
	}
	*end = k.end
	data := make([]byte, k.end-k.from) // chunks do not overlap: together no more than the file
	if _, err := f.r.ReadAt(data, k.from); err != nil {
		return nil, err
	}
	return f.pages(nil, k, data)
}

// pages appends the texts of a chunk's pages.
func (f *parquetFile) pages(rows [][]byte, k parquetChunk, data []byte) ([][]byte, error) {
	var dictionary [][]byte
	known := false
	for k.values > 0 {
		p, n, err := parquetHeader(data)
		if err != nil {
			return nil, err
		}
		if int64(p.CompressedPageSize) > int64(len(data)-n) {
			return nil, fmt.Errorf("a page of %d bytes in the %d that are left", p.CompressedPageSize, len(data)-n)
		}
		body := data[n : n+int(p.CompressedPageSize)]
		data = data[n+int(p.CompressedPageSize):]
		if err := f.take(int64(p.UncompressedPageSize)); err != nil {
			return nil, err
		}
		switch p.Type {
		case format.IndexPage:
		case format.DictionaryPage:
			if known || !p.DictionaryPageHeader.Valid {
				return nil, fmt.Errorf("a dictionary that is the second, or not described")
			}
			plain, err := f.decompress(k.codec, body, int(p.UncompressedPageSize))
			if err == nil {
				dictionary, err = f.plain(plain, int(p.DictionaryPageHeader.V.NumValues))
			}
			if err != nil {
				return nil, err
			}
			known = true
		case format.DataPage, format.DataPageV2:
			page := parquetPage{parquetChunk: k, dictionary: dictionary}
			if k.into != nil {
				err = f.leafPage(page, p, body)
			} else {
				rows, err = f.page(rows, page, p, body)
			}
			if err != nil {
				return nil, err
			}
			k.values -= parquetValues(p)
		default:
			return nil, fmt.Errorf("a page of kind %d", p.Type)
		}
	}
	return rows, nil
}

// decompress returns the body of a page, of which size bytes are expected.
func (f *parquetFile) decompress(codec format.CompressionCodec, body []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(body) != size {
			return nil, fmt.Errorf("a page of %d bytes that says %d", len(body), size)
		}
		return body, nil
	}
	if err := parquetExpands(codec, body, size); err != nil {
		return nil, err
	}
	plain, err := parquet.LookupCompressionCodec(codec).Decode(make([]byte, 0, size), body)
	if err == nil && len(plain) != size {
		err = fmt.Errorf("%d bytes, expected %d", len(plain), size)
	}
	if err != nil {
		return nil, fmt.Errorf("a page that is compressed with %s: %w", codec, err)
	}
	return plain, nil
}

func init() {
	Register(Reader{Extensions: []string{".parquet"}, Pack: PackDocuments, Read: readParquet})
}

// readParquet reads the rows of a Parquet file.
func readParquet(f *os.File, fields []string, add func(Record) error) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return parquetRows(f, st.Size(), fields, func(names []string, row int, texts [][]byte) error {
		r := Record{Place: fmt.Sprintf("row %d", row), Values: texts}
		for _, text := range texts {
			if err := checkUTF8(text, 0, 1); err != nil {
				return fmt.Errorf("%s: %w", r.Place, err)
			}
		}
		if fields == nil {
			object, err := rowObject(names, texts)
			if err != nil {
				return err
			}
			r.Values = [][]byte{object}
		}
		return add(r)
	})
}

// chatColumns are the columns of text that may make up a chat.
func (f *parquetFile) chatColumns() (names []string, err error) {
	var lacks missingField
	for _, name := range chat.Keys() {
		if _, err = f.column(name); err == nil {
			names = append(names, name)
		} else if !errors.As(err, &lacks) && (name == "messages" || name == "conversations") {
			return nil, err
		}
	}
	if names == nil {
		return nil, err
	}
	return names, nil
}
