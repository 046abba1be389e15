package data

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/chat"
)

// TestParquetLists: lists of messages that other programs wrote are the lists that they
// were given (scripts/interop/parquet-lists.mjs), and chats.
func TestParquetLists(t *testing.T) {
	const fixtures = "testdata/lists"
	raw, err := os.ReadFile(filepath.Join(fixtures, "lists.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want [][]map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][3]string{
		"lists-duckdb.parquet": {"messages", "role", "content"}, "lists-duckdb-v2.parquet": {"messages", "role", "content"},
		"lists-arrow.parquet": {"conversations", "from", "value"},
	} {
		path := filepath.Join(fixtures, name)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []map[string][]map[string]any
		if err := readParquet(f, nil, func(r Record) error {
			row := map[string][]map[string]any{}
			got = append(got, row)
			return json.Unmarshal(r.Values[0], &row)
		}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d rows, expected %d", name, len(got), len(want))
		}
		for i, row := range got {
			list, there := row[keys[0]]
			if there != (want[i] != nil) || len(list) != len(want[i]) {
				t.Fatalf("%s: row %d is %v, expected %v", name, i, row, want[i])
			}
			for k, m := range list {
				expected := map[string]any{keys[1]: want[i][k]["role"]}
				if c := want[i][k]["content"]; c != nil {
					expected[keys[2]] = c
				}
				if !reflect.DeepEqual(m, expected) {
					t.Errorf("%s: row %d has %v, expected %v", name, i, m, expected)
				}
			}
		}
		if _, err := Read(path, Options{Field: keys[0]}); err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("%s: lists as texts: %v", name, err)
		}
	}
	// What the messages say is learned as from JSON lines. A reply of null is no message.
	lines := ""
	for i, row := range want {
		if len(row) > 0 && i%4 < 2 {
			lines += fmt.Sprintf("{\"messages\":%s}\n", must(json.Marshal(row)))
		}
	}
	p, err := Read(write(t, "a.jsonl", lines), Options{})
	if err != nil || len(p.Documents) == 0 {
		t.Fatalf("%d documents (%v)", len(p.Documents), err)
	}
	for _, d := range p.Documents {
		if _, err := chat.Parse(d, "openai"); err != nil {
			t.Error(err)
		}
	}
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}
