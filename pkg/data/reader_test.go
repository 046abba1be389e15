package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// TestOneCorpusInEveryFormat: the same two documents, with what the world does to files:
// marks, ends of lines, nulls, empty texts and lines, other names for the same format.
func TestOneCorpusInEveryFormat(t *testing.T) {
	for name, text := range map[string]string{
		"a.jsonl":      "{\"text\":\"one two\"}\n{\"text\":\"three\",\"n\":1}",
		"a.ndjson":     "{\"text\":\"one two\"}\n{\"text\":\"three\"}\n",
		"A.JSONL":      "\ufeff{\"text\":\"one two\"}\r\n\r\n{\"text\":\"three\"}\r\n",
		"null.jsonl":   "{\"text\":null}\n{\"text\":\"one two\"}\n{\"text\":\"\"}\n{\"text\":\"three\"}\n",
		"array.json":   " [{\"text\":\"one two\"},\n{\"text\":\"three\"}] ",
		"mark.json":    "\ufeff[{\"text\":\"one two\"},{\"text\":\"three\"}]",
		"array.jsonl":  "\ufeff\n[{\"text\":\"one two\"},\n{\"text\":\"three\"}]",
		"wrapped.json": "{\"version\":\"1\",\"data\":[{\"text\":\"one two\"},{\"text\":\"three\"}]}",
		"lines.json":   "{\"text\":\"one two\"}\n{\"text\":\"three\"}\n",
		"t.csv":        "id,text\n1,one two\n2,three\n",
		"quoted.csv":   "\ufefftext,id\r\n\"one two\",1\r\n\"three\",2\r\n,3\r\n",
		"t.tsv":        "id\ttext\n1\tone two\n2\tthree\n",
		"separate.txt": "\ufeffone two\r\n<|end|>\r\nthree\n<|end|>\n",
	} {
		p, err := Read(write(t, name, text), Options{Separator: "<|end|>"})
		if err != nil || len(p.Documents) != 2 || string(p.Documents[0]) != "one two" || string(p.Documents[1]) != "three" || p.Pack != PackDocuments {
			t.Errorf("%s: %q, %s (%v)", name, p.Documents, p.Pack, err)
		}
	}
	p, err := Read(write(t, "c.csv", "text\n\"a \"\"b\"\"\nc\"\n"), Options{})
	if err != nil || string(p.Documents[0]) != "a \"b\"\nc" {
		t.Errorf("a quoted cell: %q (%v)", p.Documents, err)
	}
	if _, err := Read(write(t, "s.txt", "one<|end|>two"), Options{Separator: "<|end|>"}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "no line of it is the separator") {
		t.Errorf("a separator that is not there: %v", err)
	}
	if p, err := Read(write(t, "b.txt", "\ufeffone"), Options{}); err != nil || string(p.Documents[0]) != "one" || p.Pack != PackStream {
		t.Errorf("a text with a mark: %q, %s (%v)", p.Documents, p.Pack, err)
	}
	if p, err := Read(write(t, "q.jsonl", "{\"q\":null,\"text\":\"a\"}\n{\"q\":\"b\",\"text\":null}\n"), Options{Prompt: "q"}); err != nil || len(p.Documents) != 1 || len(p.Prompts[0]) != 0 || p.Skipped != 1 {
		t.Errorf("null prompts: %+v (%v)", p, err)
	}
}

// TestReadersSayWhere: messages name the file, the place, and what was expected.
func TestReadersSayWhere(t *testing.T) {
	long := "{\"text\":\"short\"}\n{\"text\":\"" + strings.Repeat("a", maxLine) + "\"}\n"
	for name, c := range map[string]struct{ text, want string }{
		"long.jsonl":   {long, "line 2 is longer than 64 MiB"},
		"bad.jsonl":    {"{\"text\":\"a\"}\nnope\n", "line 2 is not a JSON object"},
		"field.jsonl":  {"{\"text\":\"a\"}\n{\"b\":\"x\",\"a\":1}\n", "line 2 has no field \"text\", it has a, b"},
		"type.jsonl":   {"{\"text\":5}", "line 1 has a field \"text\" that is not a string"},
		"latin.jsonl":  {"{\"text\":\"a\"}\n{\"text\":\"\xe9\"}\n", "byte 0xe9 at offset 22, line 2"},
		"half.json":    {"[{\"text\":\"a\"}", "after the last object: EOF"},
		"number.json":  {"[3]", "object 1 is not a JSON object"},
		"one.json":     {"{\"data\":[]}", "object 1 has no field \"text\", it has data"},
		"ragged.csv":   {"text,n\na,1\nb\n", "line 3"},
		"columns.csv":  {"body,n\na,1\n", "has no field \"text\", it has body, n"},
		"what.docx":    {"PK\x03\x04", "the extension \".docx\" is not known, expected one of .bin, .csv"},
		"a.jsonl.gz":   {"\x1f\x8b\x08\x00\x00\x00", "a .gz file is not read, it is compressed from offset 0 on: unpack it first"},
		"README":       {"text", "it has no extension"},
		"u.txt":        {"\xff\xfeo\x00", "UTF-16 text from offset 0 on, expected UTF-8"},
		"u16.jsonl":    {"\xff\xfe{\x00", "UTF-16 text from offset 0 on, expected UTF-8"},
		"z.txt":        {"\x1f\x8b\x08\x00", "compressed (gzip or zstd)"},
		"parts.json":   {"{\"train\":[{\"text\":\"a\"}],\"data\":[{\"text\":\"b\"}]}", "object 1 has no field \"text\", it has data, train"},
		"empty.txt":    {"", "empty.txt is empty"},
		"list.jsonl":   {"[1,2]\n", "object 1 is not a JSON object"},
		"nulls.jsonl":  {"{\"text\":null}\n{\"text\":\"\"}\n", "none of its 2 records has a text"},
		"pointer.txt":  {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-lfs"},
		"pointer.json": {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-lfs"},
	} {
		path := write(t, name, c.text)
		_, err := Read(path, Options{})
		if !errors.Is(err, ErrFormat) || !strings.Contains(fmt.Sprint(err), c.want) || !strings.Contains(fmt.Sprint(err), path) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v, expected %q", name, err, c.want)
		}
	}
	if _, err := Read(write(t, "p.bin", "version https://git-lfs.github.com/spec/v1\n"), Options{}); !errors.Is(err, folder.ErrLFS) {
		t.Errorf("a pointer in place of tokens: %v", err)
	}
}

// TestShardsAreOneCorpus: files of tokens, by a glob and by their folder, are read one
// after the other; a bad id is found in its file.
func TestShardsAreOneCorpus(t *testing.T) {
	dir := t.TempDir()
	for k := range 2 {
		var b []byte
		for i := range 3 {
			b = binary.LittleEndian.AppendUint16(b, uint16(10*k+i))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("part_%d.bin", k)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "part_*.bin")} {
		p, err := Read(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := all(Encode(tokenizer.Bytes{}, p)); err != nil || fmt.Sprint(ids) != "[0 1 2 10 11 12]" || p.Pack != PackStream {
			t.Fatalf("%s: %v (%v)", path, ids, err)
		}
		_, held := p.Split(0.4)
		if err := held.Shards.scan(12, -1); err == nil || !strings.Contains(err.Error(), "part_1.bin: token 2 is 12") {
			t.Errorf("a bad id: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "z.txt"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, Options{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "z.txt") {
		t.Errorf("text beside tokens: %v", err)
	}
}

// TestAFolderOfData: a .json file among others describes them.
func TestAFolderOfData(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.jsonl": "{\"text\":\"a\"}", "dataset_info.json": "{\"splits\":{}}", ".hidden.txt": "x", "notes.pdf": "%PDF"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := Read(dir, Options{}); err != nil || len(p.Documents) != 1 {
		t.Errorf("%q (%v)", p.Documents, err)
	}
}

func TestLLMCVersions(t *testing.T) {
	file := func(magic, version uint32, width int) []byte {
		b := make([]byte, headerBytes)
		binary.LittleEndian.PutUint32(b, magic)
		binary.LittleEndian.PutUint32(b[4:], version)
		binary.LittleEndian.PutUint32(b[8:], 2)
		for _, id := range []uint32{7, 9} {
			b = append(b, binary.LittleEndian.AppendUint32(nil, id)[:width]...)
		}
		return b
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{file(magicUint16, 1, 2), "[7 9] <nil>"}, {file(magicUint32, 1, 4), "[7 9] <nil>"}, {file(magicUint32, versionLlama3, 4), "[7 9] <nil>"},
		{file(magicUint16, versionLlama3, 2), "version 7"}, {file(magicUint32, 2, 4), "version 2"},
	} {
		p, err := Read(write(t, "x.bin", string(c.data)), Options{})
		var ids Tokens
		if err == nil {
			ids, err = all(Encode(tokenizer.Bytes{}, p))
		}
		if got := fmt.Sprint(ids, err); !strings.Contains(got, c.want) {
			t.Errorf("%s, expected %s", got, c.want)
		}
	}
}

// TestSplitKeepsDocumentsWhole: and both parts know that documents are told apart.
func TestSplitKeepsDocumentsWhole(t *testing.T) {
	p, err := Read(write(t, "a.jsonl", "{\"text\":\"abcdefgh\"}\n{\"text\":\"ij\"}\n{\"text\":\"klmno\"}\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	train, held := p.Split(0.2)
	if len(train.Documents) != 2 || len(held.Documents) != 1 || string(held.Documents[0]) != "klmno" || train.Pack != PackDocuments || held.Pack != PackDocuments {
		t.Errorf("split into %q, %q", train.Documents, held.Documents)
	}
}

// TestFolderOfADataset: what a folder says about its files is not learned as one of them.
func TestFolderOfADataset(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string // documents, or the error
	}{
		"records":  {[]string{"README.md", "LICENSE.txt", "dataset_infos.json", "notes.md", "meta.json", ".x.txt", "a.jsonl", "b.txt"}, "a.jsonl b.txt"},
		"json":     {[]string{"README.md", "notes.md", "a.json"}, "a.json"},
		"markdown": {[]string{"README.md", "a.md", "b.md"}, "a.md b.md"},
		"card":     {[]string{"README.md", "data/train.jsonl"}, "holds no file that is read: .bin, .csv, .json, .jsonl, .md, .ndjson, .parquet, .text, .tsv, .txt; folders in it are not looked into: data"},
	} {
		dir := t.TempDir()
		for _, f := range c.files {
			path := filepath.Join(dir, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			text := f
			if ext := extension(f); ext == ".json" || ext == ".jsonl" {
				text = fmt.Sprintf("{\"text\":%q}", f)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Read(dir, Options{})
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.ReplaceAll(string(bytes.Join(p.Documents, []byte(" "))), "\n", "")
		}
		if got != c.want && (err == nil || !strings.HasSuffix(got, c.want)) {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
}
