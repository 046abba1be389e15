package data

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"github.com/ecospa/ecospa/internal/mapped"
)

// Shards is an encoded text in files that are mapped: it takes no memory of its own, and
// the processes of a machine share what of it is in memory.
type Shards struct {
	files     []*shardFile
	firsts    []int // number of the first token of each file, and of all
	documents []int // number of the first document of each file, and of all
	lo, hi    int   // tokens of this part
	docLo     int   // first document of this part, and one after its last
	docHi     int
	separate  bool
	sum       uint32 // of all files
	own       bool   // sum is that of the part
}

// newShards joins files.
func newShards(files []*shardFile, separate bool, sum uint32) *Shards {
	s := &Shards{files: files, separate: separate, sum: sum, firsts: []int{0}, documents: []int{0}}
	for _, f := range files {
		s.firsts = append(s.firsts, s.firsts[len(s.firsts)-1]+f.tokens)
		s.documents = append(s.documents, s.documents[len(s.documents)-1]+f.documents)
	}
	s.hi, s.docHi = s.firsts[len(files)], s.documents[len(files)]
	return s
}

// Len implements Encoded.
func (s *Shards) Len() int { return s.hi - s.lo }

// Separate implements Encoded.
func (s *Shards) Separate() bool { return s.separate }

// Documents implements Encoded.
func (s *Shards) Documents() int {
	if !s.separate {
		return 1
	}
	return s.docHi - s.docLo
}

// Checksum implements Encoded: of a part it is that of all and where the part lies.
func (s *Shards) Checksum() uint32 {
	if s.own || s.Len() == s.firsts[len(s.files)] {
		return s.sum
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(s.lo))
	binary.LittleEndian.PutUint64(b[8:], uint64(s.hi))
	return crc32.Update(s.sum, castagnoli, b[:])
}

// Below implements Encoded: ids were held against the vocabulary of the files when they
// were opened.
func (s *Shards) Below(vocab int) error {
	buf := make(Tokens, 1<<16)
	for at := 0; at < s.Len(); at += len(buf) {
		part := buf[:min(len(buf), s.Len()-at)]
		if err := s.Read(part, at); err != nil {
			return err
		}
		if err := part.Below(vocab); err != nil {
			return err
		}
	}
	return nil
}

// Part implements Encoded.
func (s *Shards) Part(lo, hi int) Encoded {
	p := *s
	p.own = false
	p.lo, p.hi = s.lo+lo, s.lo+hi
	p.docLo, p.docHi = s.documentFrom(p.lo), s.documentFrom(p.hi)
	return &p
}

// documentFrom is the first document that begins at token at of all or after it.
func (s *Shards) documentFrom(at int) int {
	return sort.Search(s.documents[len(s.files)], func(k int) bool { _, start, err := s.document(k); return err != nil || start >= at })
}

// Cut implements Encoded.
func (s *Shards) Cut(share float64) int {
	at := s.Len() - int(share*float64(s.Len()))
	if !s.separate {
		return at
	}
	k := s.documentFrom(s.lo + at)
	best, found := at, false
	for _, k := range []int{k - 1, k} { // the nearer one; the one before where both are as near
		if k <= s.docLo || k >= s.docHi {
			continue
		}
		_, start, err := s.document(k)
		if err != nil {
			continue
		}
		if c := start - s.lo; !found || abs(c-at) < abs(best-at) {
			best, found = c, true
		}
	}
	return best
}

func abs(x int) int { return max(x, -x) }

// document is a record, and the number of its first token of all.
func (s *Shards) document(k int) (r record, start int, err error) {
	i := sort.SearchInts(s.documents, k+1) - 1
	r, err = s.files[i].record(k - s.documents[i])
	return r, s.firsts[i] + int(r.Start), err
}

// Read implements Encoded.
func (s *Shards) Read(dst Tokens, at int) error {
	if at < 0 || at+len(dst) > s.Len() {
		return fmt.Errorf("data: tokens %d to %d of %d", at, at+len(dst), s.Len())
	}
	if len(dst) == 0 {
		return nil
	}
	return faulty(s.files[0].path, mapped.Guard(func() error { return s.read(dst, s.lo+at) }))
}

// faulty names a file that cannot be read any longer.
func faulty(path string, err error) error {
	if err == mapped.ErrFault {
		return fmt.Errorf("%w: %s or a file beside it: %w", ErrFormat, path, err)
	}
	return err
}

// read is Read of all tokens.
func (s *Shards) read(dst Tokens, at int) error {
	for n, i := 0, sort.SearchInts(s.firsts, at+1)-1; n < len(dst); i++ {
		part := dst[n:min(len(dst), s.firsts[i+1]-at)]
		if err := s.files[i].raw(part, at+n-s.firsts[i]); err != nil {
			return err
		}
		n += len(part)
	}
	_, err := s.marks(dst, at)
	return err
}

// marks marks what of tokens of all is not predicted, and where documents begin. It
// reports whether all of that is known without looking at the tokens.
func (s *Shards) marks(dst Tokens, at int) (whole bool, err error) {
	whole = true
	k := max(0, s.documentFrom(at+1)-1) // the one that token at belongs to
	for end := s.documents[len(s.files)]; k < end; k++ {
		r, start, err := s.document(k)
		if err != nil {
			return whole, err
		}
		if start >= at+len(dst) {
			break
		}
		whole = whole && r.Flags&marked == 0
		s.mark(dst, start-at, r)
	}
	return whole, nil
}

// mark marks what of a document that begins at token `start` of dst is not predicted, and
// where documents are told apart its beginning.
func (s *Shards) mark(dst Tokens, start int, r record) {
	if start >= 0 {
		if dst[start] >= 0 && r.Flags&led == 0 && (s.separate || r.Flags&streamed == 0) {
			dst[start] = ^dst[start]
		}
		if s.separate {
			dst[start] ^= begins
		}
	}
	if r.Flags&marked != 0 {
		return
	}
	for i := max(0, start+1); i < min(len(dst), start+1+int(r.Given)); i++ {
		dst[i] = ^dst[i]
	}
}

// predicted needs no tokens where the records say what is predicted.
func (s *Shards) predicted(at, n int) (int, error) {
	buf := make(Tokens, n)
	whole := true
	err := faulty(s.files[0].path, mapped.Guard(func() (err error) {
		whole, err = s.marks(buf, s.lo+at+1)
		return err
	}))
	if err == nil && !whole {
		err = s.Read(buf, at+1)
	}
	return buf.Predicted(), err
}

// endOf is where the first n documents end; of a stream, n times most tokens.
func (s *Shards) endOf(n, most int) int {
	if !s.separate {
		return min(n*most, s.Len())
	}
	if s.docLo+n >= s.docHi {
		return s.Len()
	}
	_, start, err := s.document(s.docLo + n)
	if err != nil {
		return 0
	}
	return start - s.lo
}
