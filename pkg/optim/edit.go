package optim

import (
	"hash/fnv"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// piece is how many weights of a block that is bfloat16 are widened at a time.
const piece = 1 << 18

// edit lets change work on a parameter's weights as float32, from element at of the
// parameter on. Weights that are float32 are shown whole, as they lie. Weights that are
// bfloat16 are widened piece by piece, pieces of whole units (rows, say), and rounded
// at random to what change made of them.
func (s *State) edit(u Step, p *param.Param, unit int, change func(w []float32, at int)) {
	b := u.Set.Block(p.Block)
	if b.DType() == param.F32 {
		change(p.In(u.Set.Weights), 0)
		return
	}
	from := p.Offset - b.Offset
	half := b.Stored(u.Set).BF16[from:][:p.Size()]
	seed := s.draws(b.Name) + uint32(from)
	step := min(len(half), max(1, piece/unit)*unit)
	if len(s.wide) < step {
		s.wide = make([]float32, step)
	}
	for at := 0; at < len(half); at += step {
		h := half[at:min(at+step, len(half))]
		w := s.wide[:len(h)]
		kernel.WidenBF16(u.Pool, w, h)
		change(w, at)
		kernel.ToBF16Random(u.Pool, h, w, seed+uint32(at))
	}
}

// draws is where what is drawn for a block in the present step begins: it depends on the
// seed, the step and the block's name only.
func (s *State) draws(block string) uint32 {
	h := fnv.New64a()
	h.Write([]byte(block))
	return uint32(mix(h.Sum64() ^ mix(s.Seed+0x9e3779b97f4a7c15*uint64(s.updates))))
}

// mix is the finalizer of splitmix64: neighbouring numbers become unlike each other.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
