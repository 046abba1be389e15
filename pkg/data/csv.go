package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

func init() {
	Register(Reader{Extensions: []string{".csv"}, Pack: PackDocuments, Read: readTable(',')})
	Register(Reader{Extensions: []string{".tsv"}, Pack: PackDocuments, Read: readTable('\t')})
}

// readTable reads a table whose first row names the columns (RFC 4180). An empty cell
// is null. Tabs divide cells in which a quote is a character like any other unless the
// cell begins with it.
func readTable(comma rune) func(f *os.File, fields []string, add func(Record) error) error {
	return func(f *os.File, fields []string, add func(Record) error) error {
		b := bufio.NewReader(f)
		if mark, err := b.Peek(len(bom)); err == nil && string(mark) == string(bom) {
			if _, err := b.Discard(len(bom)); err != nil {
				return err
			}
		}
		r := csv.NewReader(b)
		r.Comma, r.ReuseRecord, r.LazyQuotes = comma, true, comma == '\t'
		head, err := r.Read()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		whole := fields == nil
		if whole {
			fields = slices.Clone(head)
		}
		at := make([]int, len(fields))
		for i, field := range fields {
			if at[i] = slices.Index(head, field); at[i] < 0 {
				return fmt.Errorf("the first row %w", missing(field, slices.Clone(head)))
			}
		}
		for {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			line, _ := r.FieldPos(0)
			rec := Record{Place: fmt.Sprintf("line %d", line), Values: make([][]byte, len(fields))}
			for i, c := range at {
				if row[c] == "" {
					continue
				}
				rec.Values[i] = []byte(row[c])
				if err := checkUTF8(rec.Values[i], r.InputOffset()-int64(len(row[c])), line); err != nil {
					return err
				}
			}
			if whole {
				object, err := rowObject(fields, rec.Values)
				if err != nil {
					return err
				}
				rec.Values = [][]byte{object}
			}
			if err := add(rec); err != nil {
				return err
			}
		}
	}
}
