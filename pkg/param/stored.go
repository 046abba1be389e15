package param

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// DType is the type in which weights are stored.
type DType string

// The types: float32, bfloat16, and GGUF's Q8_0, blocks of 32 signed bytes with a scale.
const (
	F32  DType = "f32"
	BF16 DType = "bf16"
	Q8   DType = "q8_0"
)

// DTypes lists the types by name.
func DTypes() []string { return []string{string(F32), string(BF16), string(Q8)} }

// ParseDType is the type of a name; "" is F32.
func ParseDType(name string) (DType, error) {
	switch t := DType(strings.ToLower(name)); t {
	case "":
		return F32, nil
	case F32, BF16, Q8:
		return t, nil
	}
	return "", fmt.Errorf("%q is no type of weights, expected one of %s", name, strings.Join(DTypes(), ", "))
}

// ErrStored is returned where weights must be float32 and are stored in another type.
var ErrStored = errors.New("param: the weights are not stored as float32")

// storable are the roles whose matrices are only looked up and multiplied.
var storable = map[Role]bool{Embed: true, Head: true, Q: true, K: true, V: true, O: true, Gate: true, Up: true, Down: true}

// CanStore reports whether the block can be stored as t: float32 always, else a matrix
// that is only looked up and multiplied, of Q8 with rows of whole blocks.
func (b *Block) CanStore(t DType) bool {
	if t == F32 {
		return true
	}
	for _, p := range b.Params {
		if !storable[p.Role] {
			return false
		}
	}
	return b.Rows > 1 && (t != Q8 || b.Cols%kernel.Q8Block == 0)
}

// DType is the type that the block is stored in; F32 while it is widened.
func (b *Block) DType() DType {
	switch {
	case b.wide:
		return F32
	case b.weights.Q8 != nil:
		return Q8
	case b.weights.BF16 != nil:
		return BF16
	}
	return F32
}

// Bytes is the memory of the block's weights, while it is widened both copies.
func (b *Block) Bytes() int64 {
	n := int64(b.weights.Bytes(b.Size()))
	if b.wide {
		n += 4 * int64(b.Size())
	}
	return n
}

// Stored is the block's weights as they are stored, of s, its set.
func (b *Block) Stored(s *Set) kernel.Weights {
	if b.DType() != F32 {
		return b.weights
	}
	return kernel.Weights{F32: b.In(s.Weights)}
}

// Store rounds the block's float32 weights to t and gives their memory back: from then on
// only Stored has them, Data and In of the weights panic, and the set cannot be trained; it
// can be pruned, and Widen makes the block float32 for a while. Its own error is of a block
// that cannot be stored so.
func (s *Set) Store(b *Block, t DType) error {
	switch {
	case b.wide:
		return fmt.Errorf("%w: %s is widened for a while, it cannot become %s", ErrStored, b.Name, t)
	case t == b.DType():
		return nil
	case b.DType() != F32:
		return fmt.Errorf("%w: %s is %s, it cannot become %s", ErrStored, b.Name, b.DType(), t)
	case !b.CanStore(t):
		return fmt.Errorf("param: %s (%d x %d) cannot be stored as %s", b.Name, b.Rows, b.Cols, t)
	}
	from := b.In(s.Weights)
	b.reserve(t)
	b.encode(0, from)
	s.Weights.forget(b.Offset, b.Offset+b.Size())
	return nil
}

// reserve makes the memory of a block that is stored as t.
func (b *Block) reserve(t DType) {
	b.of.Weights.mem.sparse() // a norm between matrices that are elsewhere should not take a huge page
	n := b.Size()
	bytes := (kernel.Weights{BF16: []uint16{}}).Bytes(n)
	if t == Q8 {
		bytes = (kernel.Weights{Q8: []byte{}}).Bytes(n)
	}
	b.slab = b.of.stored.slab((bytes + 3) / 4)
	if t == Q8 {
		b.weights.Q8 = unsafe.Slice((*byte)(unsafe.Pointer(&b.slab.Data[0])), bytes)
	} else {
		b.weights.BF16 = b.slab.BF16()[:n]
	}
}

// encode rounds values to the stored elements from at on, a multiple of kernel.Q8Block.
func (b *Block) encode(at int, from []float32) {
	if b.weights.Q8 != nil {
		kernel.ToQ8(b.weights.Q8[at/kernel.Q8Block*kernel.Q8Bytes:], from)
	} else {
		kernel.ToBF16(b.weights.BF16[at:], from)
	}
}

// StoreAll stores every block that can be stored as t.
func (s *Set) StoreAll(t DType) error {
	for _, b := range s.Blocks {
		if b.CanStore(t) {
			if err := s.Store(b, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Float32 reports whether all weights are stored as float32: an error that names one
// which is not.
func (s *Set) Float32() error {
	for _, b := range s.Blocks {
		if b.DType() != F32 {
			return fmt.Errorf("%w: %s is %s", ErrStored, b.Name, b.DType())
		}
	}
	return nil
}

// BytesAs is the memory of all weights stored as t where they can be. The set needs no
// storage.
func (s *Set) BytesAs(t DType) (n int64) {
	for _, b := range s.Blocks {
		w := kernel.Weights{}
		switch {
		case !b.CanStore(t):
		case t == Q8:
			w.Q8 = []byte{}
		case t == BF16:
			w.BF16 = []uint16{}
		}
		n += int64(w.Bytes(b.Size()))
	}
	return n
}

// WeightBytes is the memory of all weights as they are stored.
func (s *Set) WeightBytes() (n int64) {
	for _, b := range s.Blocks {
		n += b.Bytes()
	}
	return n
}

// Close gives the memory of the weights back.
func (s *Set) Close() {
	for _, b := range s.Blocks {
		if b.slab != nil {
			b.slab.Close()
			b.slab, b.weights, b.wide = nil, kernel.Weights{}, false
		}
	}
	s.stored.close()
	if s.Weights != nil {
		s.Weights.Close()
	}
}

// refuse panics where sl is the weights of a block that is not float32.
func (b *Block) refuse(sl *Slab) {
	if b.slab != nil && !b.wide && sl == b.of.Weights {
		panic("param: " + b.Name + " is stored as " + string(b.DType()) + ", not as float32")
	}
}
