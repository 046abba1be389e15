package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// plainBytes is how much of a plain text is read at a time, and uncutBytes the longest
// text of a tokenizer whose texts cannot be encoded in parts.
const (
	plainBytes = 1 << 20
	uncutBytes = 256 << 20
)

// plain reads a file that is one text, or documents with separators between them.
func (w *preparing) plain(s source, r Reader) error {
	switch {
	case w.Prompt != "" || w.chats():
		return fmt.Errorf("%w: %s: it is one text, expected records (.jsonl, .csv, .parquet)", ErrFormat, s.path)
	case w.Pack == "" && w.Separator != "":
		w.part.Pack = PackDocuments
	case w.Pack == "" && w.part.Pack == "":
		w.part.Pack = r.Pack
	}
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	if mark, err := in.Peek(len(bom)); err == nil && bytes.Equal(mark, bom) {
		if _, err := in.Discard(len(bom)); err != nil {
			return err
		}
	}
	if w.Separator != "" {
		err = w.separated(in)
	} else {
		err = w.whole(in)
	}
	if err != nil && !errors.Is(err, ErrFormat) && w.ctx.Err() == nil {
		err = fmt.Errorf("%w: %s: %w", ErrFormat, s.path, err)
	}
	return err
}

// separated reads documents with lines between them.
func (w *preparing) separated(in *bufio.Reader) error {
	var document []byte
	put := func() error {
		d := bytes.TrimRight(document, "\r\n")
		document = nil
		if len(d) == 0 {
			w.part.Skipped++
			return nil
		}
		if len(d) > uncutBytes {
			return fmt.Errorf("a document of more than %d MiB", uncutBytes>>20)
		}
		return w.part.put(d, nil, "")
	}
	number, offset := 0, int64(0)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		number++
		if cerr := checkUTF8(line, offset, number); cerr != nil {
			return cerr
		}
		offset += int64(len(line))
		if string(bytes.TrimRight(line, "\r\n")) == w.Separator {
			if perr := put(); perr != nil {
				return perr
			}
		} else {
			document = append(document, line...)
		}
		if err == io.EOF {
			return put()
		}
	}
}

// whole reads one text, in parts where the tokenizer can encode parts.
func (w *preparing) whole(in *bufio.Reader) error {
	chunks, ok := tokenizer.NewChunks(w.Tokenizer)
	var rest []byte
	begins, offset := true, int64(0)
	buf := make([]byte, plainBytes)
	for {
		n, err := io.ReadFull(in, buf)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		rest = append(rest, buf[:n]...)
		at := len(rest)
		if !last {
			if at = 0; ok {
				at = chunks.Cut(rest)
			}
			for at > 0 && at < len(rest) && !utf8.RuneStart(rest[at]) {
				at--
			}
		}
		if len(rest) > uncutBytes {
			return fmt.Errorf("a text of more than %d MiB that cannot be encoded in parts by this tokenizer: give the separator of its documents", uncutBytes>>20)
		}
		if at > 0 || last && !begins {
			part := rest[:at:at]
			if err := checkUTF8(part, offset, 1); err != nil {
				return err
			}
			if err := w.chunk(chunks, ok, part, begins, last); err != nil {
				return err
			}
			offset, begins, rest = offset+int64(at), false, append([]byte(nil), rest[at:]...)
		}
		if last {
			return nil
		}
	}
}

// chunk gives a part of a text to the workers.
func (w *preparing) chunk(chunks *tokenizer.Chunks, cut bool, part []byte, begins, ends bool) error {
	if begins {
		w.part.count++
	}
	encode := func() []int32 { return w.Tokenizer.Encode(nil, part) }
	if cut {
		encode = chunks.Next(part)
	}
	return w.add(len(part), func() (encodedDocument, error) {
		d := encodedDocument{begins: begins, ends: ends}
		if begins {
			d.ids, d.given = append(d.ids, w.front...), len(w.front)
		}
		d.ids = append(d.ids, encode()...)
		if ends {
			d.ids = append(d.ids, w.back...)
		}
		return d, nil
	})
}
