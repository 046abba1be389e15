package tokenizer

import "sync"

// pieceBytes is about what one goroutine encodes at a time.
const pieceBytes = 256 << 10

// EncodeParallel is Encode with up to threads goroutines: the same ids. Where the
// tokenizer's parts allow it, a text is cut between two words.
func (t *Pipeline) EncodeParallel(dst []int32, text []byte, threads int) []int32 {
	parts := [][]byte{text}
	if threads > 1 && t.cuttable() {
		parts = cutWords(text, pieceBytes)
	}
	if len(parts) == 1 {
		return t.Encode(dst, text)
	}
	ids := make([][]int32, len(parts))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(threads, len(parts)) {
		wg.Go(func() {
			for i := range next {
				at := continued
				if i == 0 {
					at = beginning
				}
				ids[i] = t.encode(make([]int32, 0, len(parts[i])/3), parts[i], at)
			}
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, part := range ids {
		dst = append(dst, part...)
	}
	return dst
}

// cuttable reports that a text can be cut before a space between two letters of
// ASCII without any part of the tokenizer noticing.
func (t *Pipeline) cuttable() bool {
	for _, n := range t.normalizers {
		if !n.cuttable() {
			return false
		}
	}
	separated := t.model.separates() // a word and the next are two pre-tokens
	for _, s := range t.steps {
		switch s := s.(type) {
		case scanStep, wordStep:
			separated = true
		case byteLevelStep:
			separated = separated || s.split
		case metaspaceStep:
			separated = separated || s.split
		case digitsStep:
		default:
			return false
		}
	}
	if !separated {
		return false
	}
	for _, a := range append(append([]addedToken(nil), t.raw.tokens...), t.normalized.tokens...) {
		for i := range len(a.Content) {
			if i > 0 && a.Content[i] == ' ' || a.RStrip {
				return false
			}
		}
	}
	return true
}

// cutWords cuts a text into parts of about n bytes, each but the first beginning
// with a space between two letters of ASCII.
func cutWords(text []byte, n int) [][]byte {
	var parts [][]byte
	for len(text) > 2*n {
		at := n
		for at+1 < len(text) && !(text[at] == ' ' && isASCIILetter(text[at-1]) && isASCIILetter(text[at+1])) {
			at++
		}
		if at+1 >= len(text) {
			break
		}
		parts, text = append(parts, text[:at:at]), text[at:]
	}
	return append(parts, text)
}

func isASCIILetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }
