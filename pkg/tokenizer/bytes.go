package tokenizer

import "fmt"

// Bytes is the tokenizer whose ids are the bytes of the text.
type Bytes struct{}

// Encode implements Tokenizer.
func (Bytes) Encode(dst []int32, text []byte) []int32 {
	for _, b := range text {
		dst = append(dst, int32(b))
	}
	return dst
}

// Decode implements Tokenizer.
func (Bytes) Decode(dst []byte, ids []int32) ([]byte, error) {
	for _, id := range ids {
		if id < 0 || id > 255 {
			return dst, fmt.Errorf("tokenizer: id %d is outside the vocabulary of 256", id)
		}
		dst = append(dst, byte(id))
	}
	return dst, nil
}

// Vocab implements Tokenizer.
func (Bytes) Vocab() int { return 256 }

// EOS implements Tokenizer: bytes have none.
func (Bytes) EOS() int32 { return -1 }

// Piece implements Tokenizer.
func (b Bytes) Piece(id int32) ([]byte, error) { return b.Decode(nil, []int32{id}) }

// Template implements Tokenizer: there is none.
func (Bytes) Template() (front, back []int32) { return nil, nil }

// JSON implements Tokenizer: a byte-level BPE without merges is the same thing.
func (Bytes) JSON() ([]byte, error) {
	v := tokenIDs{}
	for b, letter := range byteLetters {
		v[letter] = int32(b)
	}
	return write(byteLevelFile(v, nil, nil))
}
