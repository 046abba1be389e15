package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// ShardInfo is a shard of a prepared corpus.
type ShardInfo struct {
	File      string `json:"file"`
	Tokens    int    `json:"tokens"`
	Documents int    `json:"documents"`
	Learned   int    `json:"learned"` // tokens that are predicted
	Sum       uint32 `json:"crc32c"`  // of the tokens
	Index     uint32 `json:"index_crc32c"`
}

// shardWriter writes documents into shards of at most `most` tokens, but for documents
// that are longer.
type shardWriter struct {
	dir         string
	vocab, most int
	width       int
	front, back bool  // the tokenizer puts something in front of a text, or behind it
	end         int32 // after each of several documents; -1 for none

	f       *os.File
	w       *bufio.Writer
	now     ShardInfo
	records bytes.Buffer
	written []ShardInfo
	held    []int32 // the last token, where the next document begins with it
	count   int     // documents
	tokens  int     // of all
}

// encodedDocument is a document, or a part of one, as it goes into a shard.
type encodedDocument struct {
	ids          []int32
	given        int    // ids in front that are not predicted
	marks        []bool // of chats: what is predicted of it
	begins, ends bool   // the part is the first, the last of its document
}

// add appends a document, as encoder.add does.
func (w *shardWriter) add(d encodedDocument) error {
	if len(d.ids) == 0 {
		return nil
	}
	if !d.begins {
		ids := w.marked(d)
		w.now.Learned += len(ids)
		return w.put(ids)
	}
	held := w.held
	if w.count > 0 && w.end >= 0 {
		held = append(held, w.end)
	}
	if w.f == nil || w.now.Tokens+len(held)+len(d.ids) > w.most {
		if err := w.next(); err != nil {
			return err
		}
	}
	ids := w.marked(d)
	r := record{Start: uint64(w.now.Tokens)}
	switch {
	case d.marks != nil:
		r.Flags = marked
		w.now.Learned += learnedOf(d)
	case len(held) > 0: // begins at the end of the document before
		r.Flags, r.Given = led, uint32(d.given)
		w.now.Learned += 1 + len(ids) - d.given
	case d.given == 0:
		r.Flags = streamed
		w.now.Learned += len(ids) - 1
	default:
		r.Given = uint32(d.given - 1)
		w.now.Learned += len(ids) - d.given
	}
	if err := binary.Write(&w.records, binary.LittleEndian, r); err != nil {
		return err
	}
	w.now.Documents++
	w.count++
	return w.put(append(held, ids...))
}

// marked is the ids of a document as they are written; the last of them is held back
// where the next document begins with it.
func (w *shardWriter) marked(d encodedDocument) []int32 {
	w.held = nil
	if d.marks == nil {
		if last := len(d.ids) - 1; d.ends && w.back && !w.front && w.end < 0 {
			w.held = d.ids[last:]
			return d.ids[:last]
		}
		return d.ids
	}
	out := make([]int32, len(d.ids))
	for i, id := range d.ids {
		if out[i] = id; i == 0 || !d.marks[i] {
			out[i] = ^id
		}
	}
	return out
}

func learnedOf(d encodedDocument) (n int) {
	for i, m := range d.marks {
		if m && i > 0 {
			n++
		}
	}
	return n
}

// put writes tokens.
func (w *shardWriter) put(ids []int32) error {
	b := make([]byte, 0, len(ids)*w.width)
	for _, id := range ids {
		if w.width == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	w.now.Sum = crc32.Update(w.now.Sum, castagnoli, b)
	w.now.Tokens += len(ids)
	w.tokens += len(ids)
	_, err := w.w.Write(b)
	return err
}

// next begins another shard.
func (w *shardWriter) next() error {
	if err := w.finish(); err != nil {
		return err
	}
	w.now = ShardInfo{File: fmt.Sprintf("%05d%s", len(w.written), shardSuffix)}
	var err error
	if w.f, err = os.Create(filepath.Join(w.dir, w.now.File)); err != nil {
		return err
	}
	w.w = bufio.NewWriterSize(w.f, 1<<20)
	_, err = w.w.Write(make([]byte, shardHeader))
	return err
}

// finish completes the shard that is being written.
func (w *shardWriter) finish() error {
	if w.f == nil {
		return nil
	}
	at := shardHeader + int64(w.now.Tokens*w.width)
	_, err := w.w.Write(make([]byte, tokenEnd(int64(w.now.Tokens), w.width)-at))
	w.now.Index = crc32.Checksum(w.records.Bytes(), castagnoli)
	if err == nil {
		_, err = w.w.Write(w.records.Bytes())
	}
	var head bytes.Buffer
	head.WriteString(shardMagic)
	h := header{
		Width: uint32(w.width), Vocab: uint32(w.vocab), Tokens: uint64(w.now.Tokens), Documents: uint64(w.now.Documents),
		Learned: uint64(w.now.Learned), TokenSum: w.now.Sum, IndexSum: w.now.Index,
	}
	err = errors.Join(err, w.w.Flush(), binary.Write(&head, binary.LittleEndian, h))
	if err == nil {
		_, err = w.f.WriteAt(head.Bytes(), 0)
	}
	err = errors.Join(err, w.f.Sync(), w.f.Close())
	w.f = nil
	w.records.Reset()
	if err == nil {
		w.written = append(w.written, w.now)
	}
	return err
}

// close writes what is left: the end of the last of several documents.
func (w *shardWriter) close() error {
	if w.count > 1 && w.end >= 0 {
		w.held = append(w.held, w.end)
	}
	if len(w.held) > 0 {
		if err := w.put(w.held); err != nil {
			return err
		}
		w.now.Learned += len(w.held)
	}
	return w.finish()
}

// abandon gives up what was not finished.
func (w *shardWriter) abandon() {
	if w.f != nil {
		w.f.Close()
	}
}
