package param

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Align is the alignment of every block, in float32 elements: one cache line.
const Align = 16

// Param is one parameter of a Set.
type Param struct {
	Spec
	Offset int // first element, in the slabs of the Set
	set    *Set
}

// Data is the parameter's weights, a view of the slab (row-major, Dims).
// Views taken before a Shrink are dead after it.
func (p *Param) Data() []float32 { return p.In(p.set.Weights) }

// In is the parameter's part of a slab parallel to the weights.
func (p *Param) In(s *Slab) []float32 {
	p.set.blocks[p.Block].refuse(s)
	n := p.Size()
	return s.Data[p.Offset : p.Offset+n : p.Offset+n]
}

// Block is a run of adjacent parameters that multiplies as one matrix.
type Block struct {
	Name   string
	Params []*Param
	Offset int
	Rows   int // Size / Cols
	Cols   int // the last dimension of its parameters; 1 row when they are vectors

	of      *Set
	weights kernel.Weights // where they are not float32, see Set.Store
	slab    *Slab          // the memory of these
	wide    bool           // they are kept, and a float32 copy in the set's slab counts
}

// Size is the number of elements.
func (b *Block) Size() int { return b.Rows * b.Cols }

// In is the block's part of a slab parallel to the weights.
func (b *Block) In(s *Slab) []float32 {
	b.refuse(s)
	return s.Data[b.Offset : b.Offset+b.Size() : b.Offset+b.Size()]
}

// Set is the parameters of one model, in one slab.
type Set struct {
	Params  []*Param
	Blocks  []*Block
	Weights *Slab

	params map[string]*Param
	blocks map[string]*Block
	dims   map[string]Dim
	kinds  map[layerKind]string // dimension
	layers map[string]int       // of a dimension with a kind
	roles  map[layerRole]*Param
	from   []int              // of each layer, its number in the dense model
	origin map[string][][]int // tracked dimensions: original unit of each kept unit, for each value of Per
	length int                // elements of a slab, padding included
	stored region             // memory of the blocks that are stored in another type
}

// New lays out the parameters, zeroed. It fails when names repeat, when two
// dimensions of one name differ, or when a block mixes widths or decay.
func New(specs []Spec) (*Set, error) {
	s, err := Layout(specs)
	if err != nil {
		return nil, err
	}
	s.Weights = s.NewSlab()
	return s, nil
}

// Layout is New without storage: Weights stays nil. It is what planning needs.
func Layout(specs []Spec) (*Set, error) {
	if err := checkSpecs(specs); err != nil {
		return nil, err
	}
	s := &Set{
		params: map[string]*Param{}, blocks: map[string]*Block{},
		dims: map[string]Dim{}, origin: map[string][][]int{},
		kinds: map[layerKind]string{}, layers: map[string]int{}, roles: map[layerRole]*Param{},
	}
	for _, sp := range specs {
		if sp.Block == "" {
			sp.Block = sp.Name
		}
		sp.Dims = append([]Dim(nil), sp.Dims...)
		sp.takeSides()
		p := &Param{Spec: sp, set: s}
		s.Params = append(s.Params, p)
		s.params[p.Name] = p
		b := s.blocks[sp.Block]
		if b == nil {
			b = &Block{Name: sp.Block, of: s}
			s.blocks[sp.Block] = b
			s.Blocks = append(s.Blocks, b)
		} else if b != s.Blocks[len(s.Blocks)-1] {
			return nil, fmt.Errorf("param: block %q is interrupted before %s", sp.Block, sp.Name)
		}
		b.Params = append(b.Params, p)
		s.index(p)
		for _, d := range sp.Dims {
			if d.Name != "" {
				s.dims[d.Name] = d
			}
		}
	}
	for name, d := range s.dims {
		if d.Track {
			s.origin[name] = identity(max(1, s.dims[d.Per].Size), d.Size)
		}
	}
	s.wholeLayers()
	return s, s.place()
}

// place gives every block its offset from the current dimensions.
func (s *Set) place() error {
	at := 0
	for _, b := range s.Blocks {
		at = (at + Align - 1) / Align * Align
		b.Offset = at
		first := b.Params[0]
		width := rowWidth(first.Dims)
		size := 0
		for _, p := range b.Params {
			if rowWidth(p.Dims) != width || p.Decay != first.Decay {
				return fmt.Errorf("param: block %q mixes widths or decay: %s and %s", b.Name, first, p)
			}
			p.Offset = at + size
			size += p.Size()
		}
		if width == 0 { // vectors: one row
			b.Rows, b.Cols = 1, size
		} else {
			b.Rows, b.Cols = size/width, width
		}
		at += size
	}
	s.length = at
	return nil
}

// rowWidth is the last dimension of a matrix, 0 for parameters whose last
// dimension can itself be pruned (biases) or that are vectors.
func rowWidth(dims []Dim) int {
	last := dims[len(dims)-1]
	if len(dims) == 1 || last.Kind != "" || last.Per != "" {
		return 0
	}
	if before := dims[len(dims)-2]; last.Name == "" && (before.Per != "" || before.Kind != "") {
		return 0
	}
	return last.Size
}

// Param returns the named parameter, or nil.
func (s *Set) Param(name string) *Param { return s.params[name] }

// Block returns the named block, or nil.
func (s *Set) Block(name string) *Block { return s.blocks[name] }

// Dim returns the named dimension with its current size; Size 0 if there is none.
func (s *Set) Dim(name string) Dim { return s.dims[name] }

// Count is the number of parameters (elements without padding).
func (s *Set) Count() int {
	n := 0
	for _, p := range s.Params {
		n += p.Size()
	}
	return n
}

// Len is the length of a slab in elements, padding included.
func (s *Set) Len() int { return s.length }

// NewSlab makes a zeroed slab parallel to the weights.
func (s *Set) NewSlab() *Slab { return NewSlab(s.length) }

// Origin says, for a tracked dimension, which unit of the dense model each
// unit is: Origin(d)[per][unit]. nil for others. The caller must not change it.
func (s *Set) Origin(dim string) [][]int { return s.origin[dim] }

// SetOrigin restores what Origin returned, after loading a pruned model.
// The lists must fit the current sizes and ascend.
func (s *Set) SetOrigin(dim string, of [][]int) error {
	have, ok := s.origin[dim]
	if !ok {
		return fmt.Errorf("param: dimension %q is not tracked", dim)
	}
	if len(of) != len(have) {
		return fmt.Errorf("param: dimension %q has %d lists of units, expected %d", dim, len(of), len(have))
	}
	for g, l := range of {
		if len(l) != s.dims[dim].Size {
			return fmt.Errorf("param: dimension %q list %d has %d units, expected %d", dim, g, len(l), s.dims[dim].Size)
		}
		for i, u := range l {
			if u < 0 || i > 0 && u <= l[i-1] {
				return fmt.Errorf("param: dimension %q list %d is not ascending at unit %d", dim, g, i)
			}
		}
	}
	s.origin[dim] = clone2(of)
	return nil
}

func identity(n, size int) [][]int {
	of := make([][]int, n)
	for g := range of {
		of[g] = make([]int, size)
		for i := range of[g] {
			of[g][i] = i
		}
	}
	return of
}

func clone2(a [][]int) [][]int {
	b := make([][]int, len(a))
	for i := range a {
		b[i] = append([]int(nil), a[i]...)
	}
	return b
}
