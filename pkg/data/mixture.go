package data

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"
)

// MixPart is one corpus of a mixture.
type MixPart struct {
	Path   string  `yaml:"path"`   // as data.path
	Weight float64 `yaml:"weight"` // share of the sequences, in proportion to the other weights
}

// Mixture is several encoded texts, one after the other; Batches takes sequences of them by
// weight.
type Mixture struct {
	Parts   []Encoded
	Weights []float64
	firsts  []int // number of the first token of each part, and of all
}

// NewMixture joins texts that are all streams, or all of documents.
func NewMixture(parts []Encoded, weights []float64) (*Mixture, error) {
	m := &Mixture{Parts: parts, Weights: weights, firsts: []int{0}}
	for i, p := range parts {
		if p.Separate() != parts[0].Separate() {
			return nil, fmt.Errorf("part %d of the mixture is packed as documents, another as a stream: set data.pack", i+1)
		}
		m.firsts = append(m.firsts, m.firsts[i]+p.Len())
	}
	return m, nil
}

// Len implements Encoded.
func (m *Mixture) Len() int { return m.firsts[len(m.Parts)] }

// Separate implements Encoded.
func (m *Mixture) Separate() bool { return m.Parts[0].Separate() }

// Documents implements Encoded.
func (m *Mixture) Documents() (n int) {
	for _, p := range m.Parts {
		n += p.Documents()
	}
	return n
}

// Checksum implements Encoded.
func (m *Mixture) Checksum() (sum uint32) {
	for i, p := range m.Parts {
		b := binary.LittleEndian.AppendUint32(nil, p.Checksum())
		sum = crc32.Update(sum, castagnoli, binary.LittleEndian.AppendUint64(b, math.Float64bits(m.Weights[i])))
	}
	return sum
}

// Below implements Encoded.
func (m *Mixture) Below(vocab int) error {
	for i, p := range m.Parts {
		if err := p.Below(vocab); err != nil {
			return fmt.Errorf("part %d of the mixture: %w", i+1, err)
		}
	}
	return nil
}

// Read implements Encoded.
func (m *Mixture) Read(dst Tokens, at int) error {
	for i := sort.SearchInts(m.firsts, at+1) - 1; len(dst) > 0; i++ {
		n := min(len(dst), m.firsts[i+1]-at)
		if err := m.Parts[i].Read(dst[:n], at-m.firsts[i]); err != nil {
			return err
		}
		dst, at = dst[n:], at+n
	}
	return nil
}

func (m *Mixture) predicted(at, n int) (int, error) {
	buf := make(Tokens, n)
	err := m.Read(buf, at+1)
	return buf.Predicted(), err
}

func (m *Mixture) groups() (n int) {
	for _, p := range m.Parts {
		n += p.groups()
	}
	return n
}

func (m *Mixture) pieces(group, context, limit int) ([]piece, Packing, error) {
	documents := 0
	for i, p := range m.Parts {
		if n := p.groups(); group >= n {
			group, documents = group-n, documents+p.Documents()
			continue
		}
		out, packing, err := p.pieces(group, context, limit)
		moved := make([]piece, len(out))
		for k, x := range out {
			moved[k] = piece{x.at + m.firsts[i], x.n, x.document + documents}
		}
		return moved, packing, err
	}
	return nil, Packing{}, nil
}

// mixing yields batches whose sequences come from the parts of a mixture. The next
// sequence is of the part that has had the least of its share so far.
type mixing struct {
	m       *Mixture
	parts   []*Batches
	taken   []int
	context int
	lo, hi  int
	at      Cursor
	out     Batch
}

func newMixing(m *Mixture, batch, context int, at Cursor) (*mixing, error) {
	x := &mixing{m: m, context: context, hi: batch, at: at, out: newPacked(batch, context), taken: make([]int, len(m.Parts))}
	if !m.Separate() {
		x.out.Starts, x.out.Positions = nil, nil
	}
	if at.Parts == nil {
		for i := range m.Parts {
			x.at.Parts = append(x.at.Parts, Cursor{Seed: mix(at.Seed + uint64(i))})
		}
	}
	if len(x.at.Parts) != len(m.Parts) || at.Parts == nil && (at.Epoch != 0 || at.Index != 0) {
		return nil, fmt.Errorf("data: the run read a mixture of %d parts, and this has %d: the run cannot resume in the middle of it", len(at.Parts), len(m.Parts))
	}
	for i, p := range m.Parts {
		b, err := NewBatches(p, 1, context, x.at.Parts[i])
		if err != nil {
			return nil, fmt.Errorf("part %d of the mixture: %w", i+1, err)
		}
		x.parts = append(x.parts, b)
		if x.taken[i] = x.at.Parts[i].Taken; x.taken[i] < 0 {
			return nil, fmt.Errorf("data: cursor at sequence %d of part %d", x.taken[i], i+1)
		}
	}
	return x, nil
}

// next is the part that the next sequence comes from.
func (x *mixing) next() int {
	best, least := 0, math.Inf(1)
	for i, w := range x.m.Weights {
		if d := (float64(x.taken[i]) + 0.5) / w; d < least {
			best, least = i, d
		}
	}
	return best
}

// Next is the next batch. It is overwritten by the next call.
func (x *mixing) Next() (Batch, error) {
	whole := 0
	for i := range x.out.N {
		k := x.next()
		p := x.parts[k]
		if p.lo, p.hi = 0, 1; i < x.lo || i >= x.hi {
			p.hi = 0
		}
		one, err := p.Next()
		if err != nil {
			return Batch{}, fmt.Errorf("part %d of the mixture: %w", k+1, err)
		}
		x.taken[k]++
		whole += one.Predicted()
		row := i * x.context
		copy(x.out.IDs[row:], one.IDs)
		copy(x.out.Targets[row:], one.Targets)
		if x.out.Starts != nil {
			copy(x.out.Starts[row:], one.Starts)
			copy(x.out.Positions[row:], one.Positions)
		}
	}
	if x.out.Whole = whole; x.hi-x.lo == x.out.N {
		x.out.Whole = 0
	}
	x.at.Index += x.out.N
	return x.out, nil
}

// cursor is the position after the newest batch.
func (x *mixing) cursor() Cursor {
	at := x.at
	at.Parts = nil
	for i, p := range x.parts {
		c := p.Cursor()
		c.Taken = x.taken[i]
		at.Parts = append(at.Parts, c)
	}
	if x.m.Separate() {
		at.Pack = PackDocuments
	}
	return at
}
