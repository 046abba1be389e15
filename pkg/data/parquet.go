package data

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/parquet"
)

// readParquet reads the documents of a Parquet file: the rows of a column that have
// a text.
func readParquet(path string, f *os.File, column string) ([][]byte, error) {
	rows, err := parquetRows(path, f, column)
	if err != nil {
		return nil, err
	}
	docs := rows[:0]
	for _, text := range rows {
		if text != nil {
			docs = append(docs, text)
		}
	}
	return docs, nil
}

// parquetRows reads a column of UTF-8, a row without a text as nil.
func parquetRows(path string, f *os.File, column string) ([][]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	rows, err := parquet.Texts(f, st.Size(), column)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	for i, text := range rows {
		if err := checkUTF8(fmt.Sprintf("row %d of %s", i+1, path), text); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// readPairs reads prompts and what follows them, line by line or row by row.
func readPairs(s source, prompt, field string) (prompts, docs [][]byte, err error) {
	switch filepath.Ext(s.path) {
	case ".jsonl":
		if prompts, err = readFile(s, prompt); err == nil {
			docs, err = readFile(s, field)
		}
		return prompts, docs, err
	case ".parquet":
	default:
		return nil, nil, fmt.Errorf("%w: %s has no prompts, expected a .jsonl or .parquet file with the fields %q and %q", ErrFormat, s.path, prompt, field)
	}
	f, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if prompts, err = parquetRows(s.path, f, prompt); err == nil {
		docs, err = parquetRows(s.path, f, field)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(prompts) != len(docs) {
		return nil, nil, fmt.Errorf("%w: %s has %d prompts and %d texts", ErrFormat, s.path, len(prompts), len(docs))
	}
	for i := range docs {
		if prompts[i] == nil || docs[i] == nil {
			return nil, nil, fmt.Errorf("%w: %s: row %d lacks %q or %q", ErrFormat, s.path, i+1, prompt, field)
		}
	}
	return prompts, docs, nil
}
