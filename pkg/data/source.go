package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/ecospa/ecospa/internal/folder"
)

// bom is the mark that Windows programs put in front of UTF-8. It is no text.
var bom = []byte("\ufeff")

// open opens the file for reading. What Git LFS left in place of a file is named.
func (s source) open() (*os.File, error) {
	f, err := s.openAny()
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		if err := folder.LFS(f); err != nil {
			f.Close()
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
		}
	}
	return f, nil
}

func (s source) openAny() (*os.File, error) {
	if s.folder == "" {
		return os.Open(s.path)
	}
	root, err := folder.Open(s.folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := filepath.Base(s.path)
	st, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrFormat, s.path)
	}
	return root.Open(name)
}

// checkUTF8 names the first byte that is not text; base and line are where text begins
// in its file.
func checkUTF8(text []byte, base int64, line int) error {
	if base == 0 && (bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff})) {
		return errors.New("UTF-16 text from offset 0 on, expected UTF-8: iconv -f UTF-16 -t UTF-8 makes it")
	}
	if base == 0 && (bytes.HasPrefix(text, []byte{0x1f, 0x8b}) || bytes.HasPrefix(text, []byte{0x28, 0xb5, 0x2f, 0xfd})) {
		return errors.New("compressed (gzip or zstd) from offset 0 on, expected text: unpack it first")
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("not UTF-8 text: byte 0x%02x at offset %d, line %d", text[i], base+int64(i), line+bytes.Count(text[:i], []byte{'\n'}))
		}
		i += n
	}
	return nil
}

// binaryAt says where the beginning of a file is not text; "" where it is.
func binaryAt(head []byte) string {
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == utf8.RuneError && n == 1 && len(head)-i > utf8.UTFMax {
			return fmt.Sprintf("; it is not text either: byte 0x%02x at offset %d", head[i], i)
		}
		i += n
	}
	return ""
}

// maxLine bounds a line of a .jsonl file in bytes.
const maxLine = 64 << 20

// lines gives each line of r without its end, with its number from 1 and its offset. The
// text is overwritten by the next line.
func lines(r io.Reader, line func(text []byte, number int, offset int64) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	offset := int64(0)
	for number := 1; ; number++ {
		text, err := b.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long[:0], text...)
			for err == bufio.ErrBufferFull {
				text, err = b.ReadSlice('\n')
				if len(long)+len(text) > maxLine {
					return fmt.Errorf("line %d is longer than %d MiB", number, maxLine>>20)
				}
				long = append(long, text...)
			}
			text = long
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(text) == 0 {
			return nil
		}
		start := offset
		offset += int64(len(text))
		if number == 1 {
			text = bytes.TrimPrefix(text, bom)
		}
		if lerr := line(bytes.TrimRight(text, "\r\n"), number, start); lerr != nil {
			return lerr
		}
		if err == io.EOF {
			return nil
		}
	}
}
