package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fixture is a file of testdata, which scripts/interop/parquet.mjs wrote.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/parquet", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func texts(data []byte, column string) ([][]byte, error) {
	var all [][]byte
	err := parquetRows(bytes.NewReader(data), int64(len(data)), []string{column}, func(_ []string, _ int, texts [][]byte) error {
		all = append(all, texts[0])
		return nil
	})
	return all, err
}

// TestParquetWriters: files of three writers, of each codec, encoding and page version,
// hold the rows that were given to them.
func TestParquetWriters(t *testing.T) {
	var rows []*string
	if err := json.Unmarshal(fixture(t, "rows.json"), &rows); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/parquet/*.parquet")
	if err != nil || len(files) < 13 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		got, err := texts(fixture(t, name), "text")
		if name == "duckdb-lz4.parquet" {
			if err == nil || !strings.Contains(err.Error(), "compressed with LZ4_RAW, expected") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != len(rows) {
			t.Errorf("%s: %d rows, expected %d", name, len(got), len(rows))
			continue
		}
		for i, want := range rows {
			switch {
			case want == nil && name == "arrow-required.parquet":
				if string(got[i]) != "here" {
					t.Errorf("%s, row %d: %q", name, i, got[i])
				}
			case want == nil && got[i] != nil, want != nil && (got[i] == nil || string(got[i]) != *want):
				t.Errorf("%s, row %d: %q, expected %v", name, i, got[i], want)
			}
		}
	}
}

func TestParquetRefused(t *testing.T) {
	good := fixture(t, "duckdb-snappy.parquet")
	cut := func(data []byte, from, to int) []byte { return append(bytes.Clone(data[:from]), data[to:]...) }
	set := func(data []byte, at int, b ...byte) []byte {
		data = bytes.Clone(data)
		copy(data[at:], b)
		return data
	}
	n := len(good)
	for name, c := range map[string]struct {
		data   []byte
		column string
		want   string
	}{
		"empty":            {nil, "text", "0 bytes are too few"},
		"no parquet":       {[]byte(strings.Repeat("hello ", 9)), "text", `expected "PAR1"`},
		"cut off":          {good[:n-1], "text", `expected "PAR1"`},
		"encrypted":        {set(good, n-4, 'P', 'A', 'R', 'E'), "text", "encrypted"},
		"long footer":      {set(good, n-8, 0xff, 0xff, 0xff, 0x7f), "text", "its footer has 2147483647 bytes"},
		"short footer":     {set(good, n-8, 3, 0, 0, 0), "text", "its footer"},
		"no such column":   {good, "content", `no column "content", its columns are "id", "tags", "text", "score"`},
		"nested":           {good, "tags", "nested"},
		"numbers":          {good, "id", "of type INT32, expected BYTE_ARRAY"},
		"body cut out":     {cut(good, 4, n-parquetTail-int(binary.LittleEndian.Uint32(good[n-parquetTail:]))), "text", "expected within bytes 4 to 4"},
		"page overwritten": {set(good, 500, bytes.Repeat([]byte{0xff}, 600)...), "text", "a page"},
	} {
		_, err := texts(c.data, c.column)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %q", name, err, c.want)
		}
	}
}

// TestParquetAnyByteWrong turns a bit of every byte of a file: there is an error or there are rows,
// in bounded memory.
func TestParquetAnyByteWrong(t *testing.T) {
	for _, name := range []string{"duckdb-zstd.parquet", "arrow-v2-delta.parquet", "arrow-v1-dictionary.parquet"} {
		good := fixture(t, name)
		for at := range good {
			data := bytes.Clone(good)
			data[at] ^= 1 << (at % 8)
			bounded(t, data)
		}
	}
}

// bounded reads a file and fails where that takes more memory than is promised.
func bounded(t testing.TB, data []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = texts(data, "text")
	runtime.ReadMemStats(&after)
	// Twice: slices grow by copying. The Zstandard decoder has tables of its own.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4*(parquetExpansion*len(data)+parquetSpare)); got > most {
		t.Errorf("%d bytes took %d bytes of memory", len(data), got)
	}
}

func FuzzParquet(f *testing.F) {
	files, err := filepath.Glob("testdata/parquet/*.parquet")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		f.Add(fixture(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { bounded(t, data) })
}
