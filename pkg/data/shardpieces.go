package data

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/mapped"
)

// Documents of shards are packed in groups, so that the memory does not grow with the
// text. A chunk is documents that follow each other, about chunkTokens of them; a group
// is groupChunks chunks, in every pass others.
var (
	chunkTokens = 1 << 16
	groupChunks = 64
)

// perChunk is the number of documents of a chunk.
func (s *Shards) perChunk() int {
	n, documents := s.Len(), max(1, s.docHi-s.docLo)
	return max(1, min(chunkTokens*documents/max(1, n), 1<<14))
}

// chunks is the number of chunks.
func (s *Shards) chunks() int { return (s.docHi - s.docLo + s.perChunk() - 1) / s.perChunk() }

func (s *Shards) groups() int { return (s.chunks() + groupChunks - 1) / groupChunks }

// pieces are those of the chunks of a group that follow each other.
func (s *Shards) pieces(group, context, limit int) (out []piece, p Packing, err error) {
	for c := group * groupChunks; c < min((group+1)*groupChunks, s.chunks()); c++ {
		if limit > 0 && p.Learned >= limit {
			break
		}
		if out, err = s.chunk(out, &p, c, piecing{context, limit}); err != nil {
			break
		}
	}
	return out, p, err
}

// shuffled are the pieces of a group of a pass: of chunks that a permutation chooses.
func (s *Shards) shuffled(order permutation, group, context int) (out []piece, err error) {
	var p Packing
	for c := group * groupChunks; c < min((group+1)*groupChunks, s.chunks()); c++ {
		if out, err = s.chunk(out, &p, order.at(c), piecing{context, 0}); err != nil {
			break
		}
	}
	return out, err
}

// chunk appends the pieces of a chunk.
func (s *Shards) chunk(out []piece, p *Packing, c int, how piecing) ([]piece, error) {
	err := mapped.Guard(func() error {
		lo := s.docLo + c*s.perChunk()
		for k := lo; k < min(lo+s.perChunk(), s.docHi); k++ {
			d, err := s.extent(k)
			if err == nil {
				out, err = s.cut(out, p, d, how)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, faulty(s.files[0].path, err)
}

func (s *Shards) extent(k int) (d extent, err error) {
	r, lo, err := s.document(k)
	if err != nil {
		return d, err
	}
	d = extent{number: k - s.docLo, lo: lo - s.lo, hi: s.Len()}
	last := false // the token behind it is predicted: it belongs to this one
	if k+1 < s.docHi {
		next, hi, err := s.document(k + 1)
		if err != nil {
			return d, err
		}
		d.hi, last = hi-s.lo, next.Flags&led != 0
		if d.hi <= d.lo {
			return d, fmt.Errorf("%w: %s or a file beside it: document %d does not begin after the one before it", ErrFormat, s.files[0].path, k+1)
		}
	}
	if d.marked = r.Flags&marked != 0; d.marked {
		return d, nil
	}
	d.first = min(d.lo+int(r.Given), d.hi-1)
	d.learned = d.hi - 1 - d.first
	if last {
		d.learned++
	}
	return d, nil
}

// cut appends the pieces of a document, as Tokens.document does.
func (s *Shards) cut(out []piece, p *Packing, d extent, how piecing) ([]piece, error) {
	if d.marked {
		return s.cutMarked(out, p, d, how)
	}
	if how.limit > 0 {
		d.learned = min(d.learned, how.limit-p.Learned)
	}
	if d.learned <= 0 {
		return out, nil
	}
	p.Learned += d.learned
	for _, piece := range p.stretches(d, d.first+d.learned-1, how) {
		if piece.at+piece.n > d.first {
			out = append(out, piece)
			p.Read += piece.n
		}
	}
	return out, nil
}

// cutMarked is cut of a document whose tokens say what is predicted.
func (s *Shards) cutMarked(out []piece, p *Packing, d extent, how piecing) ([]piece, error) {
	text := make(Tokens, min(d.hi+1, s.Len())-d.lo)
	if err := s.read(text, s.lo+d.lo); err != nil {
		return out, err
	}
	from := len(out)
	out = text.document(out, p, extent{number: d.number, hi: d.hi - d.lo}, how)
	for i := range out[from:] {
		out[from+i].at += d.lo
	}
	return out, nil
}
