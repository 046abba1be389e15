package data

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Tokens is a part of a corpus, encoded: its documents one after the other. A token that
// is not to be predicted, that of a prompt or in front of a text, stands as its
// complement, which is negative. In the token that a document begins with the bit
// begins is set as well, where documents are to be told apart (Part.Pack).
type Tokens []int32

// begins is set in the first token of a document. No vocabulary has so many ids.
const begins = 1 << 30

// plain is the id of a token.
func plain(id int32) int32 {
	if id < 0 {
		id = ^id
	}
	return id &^ begins
}

// target is what is to be predicted of a token: its id, or -1.
func target(id int32) int32 {
	if id < 0 {
		return -1
	}
	return id &^ begins
}

// isBegin reports whether a document begins with the token.
func isBegin(id int32) bool { return (id^id>>31)&begins != 0 }

// Separate reports whether documents are told apart: then sequences are packed of
// whole documents, else the tokens are one stream.
func (t Tokens) Separate() bool {
	for _, id := range t {
		if isBegin(id) {
			return true
		}
	}
	return false
}

// Documents is the number of documents that begin in t; 1 for a stream.
func (t Tokens) Documents() int {
	n := 0
	for _, id := range t {
		if isBegin(id) {
			n++
		}
	}
	return max(1, n)
}

// Cut is where t is cut to hold out its last share: at the beginning of a document, or
// anywhere in a stream.
func (t Tokens) Cut(share float64) int {
	at := len(t) - int(share*float64(len(t)))
	if !t.Separate() {
		return at
	}
	for down, up := at, at; down > 0 || up < len(t); down, up = down-1, up+1 {
		if down > 0 && down < len(t) && isBegin(t[down]) {
			return down
		}
		if up < len(t) && isBegin(t[up]) {
			return up
		}
	}
	return at
}

// Predicted is the number of tokens that are to be predicted.
func (t Tokens) Predicted() (n int) {
	for _, id := range t {
		if id >= 0 {
			n++
		}
	}
	return n
}

// IDs is the tokens lo to hi.
func (t Tokens) IDs(lo, hi int) []int32 {
	out := make([]int32, hi-lo)
	for i, id := range t[lo:hi] {
		out[i] = plain(id)
	}
	return out
}

// fill takes len(ids) tokens from at on, and the ones after each as targets, -1
// where they are not to be predicted.
func (t Tokens) fill(ids, targets []int32, at int) {
	for i := range ids {
		ids[i], targets[i] = plain(t[at+i]), target(t[at+i+1])
	}
}

// Window is n tokens from at on and the ones after each, -1 where they are not to
// be predicted.
func (t Tokens) Window(at, n int) (ids, targets []int32) {
	ids, targets = make([]int32, n), make([]int32, n)
	t.fill(ids, targets, at)
	return ids, targets
}

// Below names the first token that a vocabulary of so many ids does not have.
func (t Tokens) Below(vocab int) error {
	for i, id := range t {
		if int(plain(id)) >= vocab {
			return fmt.Errorf("%w: token %d of the text is %d, but the model has %d ids", ErrFormat, i, plain(id), vocab)
		}
	}
	return nil
}

// Checksum is the CRC-32C of the tokens as little-endian uint32, wherever documents
// begin.
func (t Tokens) Checksum() uint32 {
	table, sum := crc32.MakeTable(crc32.Castagnoli), uint32(0)
	var b [4096]byte
	for len(t) > 0 {
		n := min(len(t), len(b)/4)
		for i, id := range t[:n] {
			if isBegin(id) {
				id ^= begins
			}
			binary.LittleEndian.PutUint32(b[4*i:], uint32(id))
		}
		sum, t = crc32.Update(sum, table, b[:4*n]), t[n:]
	}
	return sum
}
