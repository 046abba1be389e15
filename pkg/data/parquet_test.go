package data

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParquetIsJSONL: a Parquet file of another writer and JSON lines of the same
// rows are the same corpus, alone, in a folder and as prompts with their answers.
func TestParquetIsJSONL(t *testing.T) {
	const fixtures = "testdata/parquet"
	raw, err := os.ReadFile(filepath.Join(fixtures, "rows.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []*string
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines, err := os.Create(filepath.Join(dir, "a.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(lines)
	for _, r := range rows {
		if r != nil {
			if err := e.Encode(map[string]string{"text": *r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := lines.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := Read(lines.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	same := func(name string, got, want [][]byte) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %d documents, expected %d", name, len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%s: document %d is %q, expected %q", name, i, got[i], want[i])
			}
		}
	}
	for _, name := range []string{"duckdb-zstd.parquet", "arrow-v2-delta.parquet"} {
		got, err := Read(filepath.Join(fixtures, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		same(name, got.Documents, want.Documents)
	}
	data, err := os.ReadFile(filepath.Join(fixtures, "hyparquet.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.parquet"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	both, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	same("folder", both.Documents, append(append([][]byte{}, want.Documents...), want.Documents...))

	full := filepath.Join(fixtures, "arrow-required.parquet")
	pairs, err := Read(full, Options{Prompt: "text"})
	if err != nil {
		t.Fatal(err)
	}
	same("prompts", pairs.Prompts, pairs.Documents)
	for path, wants := range map[string]string{
		full:                                  `no column "answer"`,
		filepath.Join(fixtures, "rows.json"):  "object 1 is not a JSON object",
		filepath.Join(fixtures, "no.parquet"): "no such file",
		filepath.Join(dir, "damaged.parquet"): "damaged.parquet: bad Parquet file",
	} {
		field := "text"
		if path == full {
			field = "answer"
		}
		if strings.HasSuffix(path, "damaged.parquet") {
			if err := os.WriteFile(path, data[:len(data)-9], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(path, Options{Field: field, Prompt: "text"}); err == nil || !strings.Contains(err.Error(), wants) {
			t.Errorf("%s: %v, expected %q", path, err, wants)
		}
	}
}
