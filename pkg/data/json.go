package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func init() { Register(Reader{Extensions: []string{".json"}, Pack: PackDocuments, Read: readJSON}) }

// readJSON reads an array of objects, or objects one after the other: JSON lines that
// are called .json.
func readJSON(f *os.File, fields []string, add func(Record) error) error {
	return objects(f, func(object []byte, n int, offset int64) error {
		if err := checkUTF8(object, offset, 1); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		rec, err := jsonRecord(object, fields)
		rec.Place = fmt.Sprintf("object %d", n)
		if err != nil {
			return fmt.Errorf("%s %w", rec.Place, err)
		}
		return add(rec)
	})
}

// objects gives each object of an array, or of objects one after the other, with its
// number from 1 and its offset.
func objects(f io.Reader, each func(object []byte, n int, offset int64) error) error {
	r := bufio.NewReader(f)
	if mark, err := r.Peek(len(bom)); err == nil && string(mark) == string(bom) {
		if _, err := r.Discard(len(bom)); err != nil {
			return err
		}
	}
	d := json.NewDecoder(r)
	first, err := firstByte(r)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if first == '[' {
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	for n := 1; first != '[' || d.More(); n++ {
		var object json.RawMessage
		if err := d.Decode(&object); err == io.EOF && first != '[' {
			return nil
		} else if err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		if n == 1 && first == '{' && !d.More() {
			if inner := wrapped(object); inner != nil {
				for i, record := range inner {
					if err := each(record, i+1, 0); err != nil {
						return err
					}
				}
				return nil
			}
		}
		if err := each(object, n, d.InputOffset()-int64(len(object))); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("after the last object: %w", err)
	}
	return nil
}

// beginsArray reports whether a file that can be read twice begins an array.
func beginsArray(f io.ReaderAt) bool {
	head := make([]byte, 256)
	n, _ := f.ReadAt(head, 0) // a pipe: nothing
	text := bytes.TrimLeft(bytes.TrimPrefix(head[:n], bom), " \t\r\n")
	return len(text) > 0 && text[0] == '['
}

// wrappers are keys under which a file's one object holds its records.
var wrappers = []string{"data", "train", "examples", "records", "instances"}

// wrapped is the records of an object that is all of a file, as {"version": ..., "data":
// [...]} has them; nil where it is a record itself.
func wrapped(object []byte) (records []json.RawMessage) {
	var all map[string]json.RawMessage
	if json.Unmarshal(object, &all) != nil {
		return nil
	}
	for _, key := range wrappers {
		var list []json.RawMessage
		if json.Unmarshal(all[key], &list) != nil || len(list) == 0 || list[0][0] != '{' {
			continue
		}
		if records != nil { // parts, of which nobody said which
			return nil
		}
		records = list
	}
	return records
}

// firstByte is the first byte that is no white space, which stays to be read.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return b, r.UnreadByte()
	}
}
