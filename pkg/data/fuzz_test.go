package data

import (
	"bytes"
	"errors"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/image/tiff"
)

// FuzzRead reads any bytes as every format of text: documents of UTF-8 no longer than the
// file, or an ErrFormat on one line.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"", "a\n", "{\"text\": \"a\"}\n", "{\"text\":\"a\"}\n\n{\"text\":\"\\u00e9\\ud83d\\ude00\"}", "{\"text\": 3}", "{\"other\": \"a\"}",
		"{\"text\": \"\xff\"}", "[1]", "{\"text\":\"a\",\"text\":\"b\"}", "{\"text\":\"\\ud800\"}", "null", "{", strings.Repeat("[", 500), "\x00", "[{\"text\":\"a\"}]", "text,n\na,1\n\"b\"\"\",2", "n\ttext\n1\ta\n", "\ufeff{\"text\":\"a\"}\r\n", "b\na\nc"} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"x.txt", "x.jsonl", "x.json", "x.csv", "x.tsv"} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := Read(path, Options{Separator: "a"})
			if err != nil {
				if !errors.Is(err, ErrFormat) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: error %q", name, err)
				}
				continue
			}
			total := 0
			for _, d := range p.Documents {
				if !utf8.Valid(d) {
					t.Errorf("%s: document %q is no UTF-8", name, d)
				}
				total += len(d)
			}
			// An escaped half of a surrogate pair, six bytes, is three of U+FFFD.
			if total == 0 || total > len(b) {
				t.Errorf("%s: %d bytes of documents from %d", name, total, len(b))
			}
		}
	})
}

// FuzzReadTokens reads any bytes as a token cache: it is used only if it says
// itself what it should, and then holds ids of the vocabulary.
func FuzzReadTokens(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.tokens")
	for _, ids := range []Tokens{{}, {1, 2, 3}, {9}} {
		if err := writeTokens(path, ids); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte(cacheMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		ids, ok := readTokens(path, 5)
		if !ok {
			return
		}
		for _, id := range ids {
			if id < 0 || id >= 5 {
				t.Errorf("id %d is in no vocabulary of 5", id)
			}
		}
		if err := writeTokens(path, ids); err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is taken for %v", b, ids)
		}
	})
}

// TestOtherPicturesAreRefused: a decoder that some other package registers does not
// read pictures from outside.
func TestOtherPicturesAreRefused(t *testing.T) {
	var b bytes.Buffer
	if err := tiff.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4)), nil); err != nil {
		t.Fatal(err)
	}
	err := (frame{3, 2, nil}).read(bytes.NewReader(b.Bytes()), make([]float32, 12))
	if err == nil || !strings.Contains(err.Error(), "the picture is a tiff, expected PNG or JPEG") {
		t.Errorf("error %v", err)
	}
}
