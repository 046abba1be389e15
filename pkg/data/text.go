package data

import (
	"bytes"
	"os"
)

func init() {
	Register(Reader{Extensions: []string{".txt", ".text", ".md"}, Pack: PackStream, Plain: true, Read: readPlain})
}

// readPlain reads a file that is one text.
func readPlain(f *os.File, _ []string, add func(Record) error) error {
	var text bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		text.Grow(int(st.Size()) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(f); err != nil {
		return err
	}
	if err := checkUTF8(text.Bytes(), 0, 1); err != nil {
		return err
	}
	return add(Record{Values: [][]byte{bytes.TrimPrefix(text.Bytes(), bom)}})
}

// separated cuts a text into documents at the lines that are the separator. The ends of
// lines around it belong to no document.
func separated(text []byte, separator string) [][]byte {
	var docs [][]byte
	from, at := 0, 0
	for at <= len(text) {
		end := bytes.IndexByte(text[at:], '\n')
		next := at + end + 1
		if end < 0 {
			end, next = len(text)-at, len(text)+1
		}
		if string(bytes.TrimRight(text[at:at+end], "\r")) == separator {
			docs = append(docs, bytes.TrimRight(text[from:at], "\r\n"))
			from = min(next, len(text))
		}
		at = next
	}
	return append(docs, bytes.TrimRight(text[from:], "\r\n"))
}
