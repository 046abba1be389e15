package param

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Widen makes a float32 copy of a block that is stored in another type, in the set's slab.
// Until Narrow or Revert the copy counts: Data and In work, and it may be changed. A block
// of float32 stays as it is.
func (s *Set) Widen(b *Block) {
	if b.slab == nil || b.wide {
		return
	}
	b.wide = true
	b.decode(b.In(s.Weights), 0)
}

// Narrow ends Widen: what the copy holds now is rounded to the type of the block. A value
// that is not finite is an error, and the block is then as Widen found it.
func (s *Set) Narrow(b *Block) error {
	if !b.wide {
		return nil
	}
	defer s.Revert(b)
	from := b.In(s.Weights)
	for i, x := range from {
		if x-x != 0 {
			return fmt.Errorf("param: %s, element %d is %g, expected a finite number", b.Name, i, x)
		}
	}
	if b.weights.Q8 != nil {
		kernel.ToQ8(b.weights.Q8, from)
	} else {
		kernel.ToBF16(b.weights.BF16, from)
	}
	return nil
}

// Revert ends Widen and drops the copy: the block is as it was, to the bit.
func (s *Set) Revert(b *Block) {
	if !b.wide {
		return
	}
	s.Weights.forget(b.Offset, b.Offset+b.Size())
	b.wide = false
}

// decode widens the stored elements from lo on into dst.
func (b *Block) decode(dst []float32, lo int) {
	if b.weights.Q8 != nil {
		kernel.FromQ8(dst, b.weights.Q8[lo/kernel.Q8Block*kernel.Q8Bytes:])
	} else {
		kernel.FromBF16(dst, b.weights.BF16[lo:])
	}
}

// Floats are the parameter's elements lo to hi: a view of float32 weights, else widened into
// buf, which has room for them. lo and hi-lo are whole blocks of kernel.Q8Block elements where
// the weights are stored in such.
func (p *Param) Floats(buf []float32, lo, hi int) []float32 {
	b := p.set.blocks[p.Block]
	at := p.Offset - b.Offset
	return b.Floats(buf, at+lo, at+hi)
}

// Floats are a block's elements, as Param.Floats are a parameter's.
func (b *Block) Floats(buf []float32, lo, hi int) []float32 {
	if b.DType() == F32 {
		return b.In(b.of.Weights)[lo:hi]
	}
	b.decode(buf[:hi-lo], lo)
	return buf[:hi-lo]
}

// BlockOf is the block that holds the parameter.
func (p *Param) BlockOf() *Block { return p.set.blocks[p.Block] }

var errWide = errors.New("param: a block is widened: narrow it before the set is cut")

// shrinkStored removes what a cut removes from the blocks that are not float32. runs are
// those that stay, in elements of the slab before; old is where each block began.
func (s *Set) shrinkStored(runs map[*Param][]run, old map[*Block]int) {
	for _, b := range s.Blocks {
		if b.slab == nil {
			continue
		}
		at := 0
		for _, p := range b.Params {
			for _, r := range runs[p] {
				if from := r.src - old[b]; from != at {
					b.moveStored(at, from, r.n)
				}
				at += r.n
			}
		}
		bytes := b.weights.Bytes(at)
		b.slab.Truncate((bytes + 3) / 4)
		if b.weights.Q8 != nil {
			b.weights.Q8 = b.weights.Q8[:bytes:bytes]
		} else {
			b.weights.BF16 = b.weights.BF16[:at:at]
		}
	}
}

func (b *Block) moveStored(dst, src, n int) {
	if q := b.weights.Q8; q != nil {
		dst, src, n = dst/kernel.Q8Block*kernel.Q8Bytes, src/kernel.Q8Block*kernel.Q8Bytes, n/kernel.Q8Block*kernel.Q8Bytes
		copy(q[dst:dst+n], q[src:src+n])
		return
	}
	h := b.weights.BF16
	copy(h[dst:dst+n], h[src:src+n])
}

// storedFits reports whether what stays of the stored blocks is whole blocks of their type.
func (s *Set) storedFits(runs map[*Param][]run, old map[*Block]int) error {
	for _, b := range s.Blocks {
		if b.wide {
			return fmt.Errorf("%w: %s", errWide, b.Name)
		}
		if b.weights.Q8 == nil {
			continue
		}
		for _, p := range b.Params {
			for _, r := range runs[p] {
				if (r.src-old[b])%kernel.Q8Block != 0 || r.n%kernel.Q8Block != 0 {
					return fmt.Errorf("%w: %s is %s, and the cut does not keep whole blocks of %d of it", ErrStored, p.Name, Q8, kernel.Q8Block)
				}
			}
		}
	}
	return nil
}
