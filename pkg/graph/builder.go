package graph

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	_ "go4.org/unsafe/assume-no-moving-gc" // its newer version lets Gorgonia start under this Go
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Builder grows a graph from a family's description. The first error sticks:
// later calls do nothing and return nil, and Lower returns it.
type Builder struct {
	set     *param.Set
	train   bool
	bf16    bool
	g       *gorgonia.ExprGraph
	params  map[string]*Node
	inputs  map[string]*Node
	outputs []output
	taps    []tap
	rotary  map[string]*rotary
	err     error
}

type output struct {
	name string
	node *Node
}

type tap struct {
	dim                string
	node               *Node
	b                  int
	col0, units, width int
}

// BuildOptions say what a graph is for.
type BuildOptions struct {
	Train bool // the loss makes its gradients on the way
	BF16  bool // matrix products read bfloat16
}

// NewBuilder begins a graph over the parameters of set.
func NewBuilder(set *param.Set, o BuildOptions) *Builder {
	return &Builder{
		set: set, train: o.Train, bf16: o.BF16, g: gorgonia.NewGraph(),
		params: map[string]*Node{}, inputs: map[string]*Node{}, rotary: map[string]*rotary{},
	}
}

// Err is the first error.
func (b *Builder) Err() error { return b.err }

// Fail makes err stick, if it is the first.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Set is the parameters that the graph is over.
func (b *Builder) Set() *param.Set { return b.set }

func (b *Builder) apply(op kernelOp, in ...*Node) *Node {
	if b.err != nil {
		return nil
	}
	n, err := apply(op, in...)
	if err != nil {
		b.Fail(err)
		return nil
	}
	return n
}

func (b *Builder) input(name string, make func() *Node) *Node {
	if b.err != nil {
		return nil
	}
	if n, ok := b.inputs[name]; ok {
		return n
	}
	n := make()
	b.inputs[name] = n
	return n
}

// IDs is an input of n token ids, or targets.
func (b *Builder) IDs(name string, n int) *Node {
	return b.input(name, func() *Node {
		return gorgonia.NewVector(b.g, tensor.Int32, gorgonia.WithName(name), gorgonia.WithShape(n))
	})
}

// Scalar is an input of one number.
func (b *Builder) Scalar(name string) *Node {
	return b.input(name, func() *Node { return gorgonia.NewScalar(b.g, tensor.Float32, gorgonia.WithName(name)) })
}

// Floats is an input of rows x cols numbers.
func (b *Builder) Floats(name string, rows, cols int) *Node {
	return b.input(name, func() *Node {
		return gorgonia.NewMatrix(b.g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, cols))
	})
}

// Param is a block of parameters: [Rows, Cols], or [Cols] for vectors. nil when
// the set has no such block, so that optional biases read naturally.
func (b *Builder) Param(block string) *Node {
	if b.err != nil {
		return nil
	}
	if n, ok := b.params[block]; ok {
		return n
	}
	bl := b.set.Block(block)
	if bl == nil {
		return nil
	}
	var n *Node
	if len(bl.Params[0].Dims) == 1 || bl.Rows == 1 {
		n = gorgonia.NewVector(b.g, tensor.Float32, gorgonia.WithName(block), gorgonia.WithShape(bl.Size()))
	} else {
		n = gorgonia.NewMatrix(b.g, tensor.Float32, gorgonia.WithName(block), gorgonia.WithShape(bl.Rows, bl.Cols))
	}
	b.params[block] = n
	return n
}

// Embed looks up ids [N] in table [V, E]: (N, E).
func (b *Builder) Embed(ids, table *Node) *Node { return b.apply(embed{}, ids, table) }

// AddRows adds learned positions pos [P, E] to x [B·T, E]: (B·T, E).
func (b *Builder) AddRows(x, pos *Node, t int) *Node { return b.apply(addRows{t}, x, pos) }

// Linear is x [N, E] · wᵀ + bias with w [M, E]: (N, M). bias may be nil.
func (b *Builder) Linear(x, w, bias *Node) *Node {
	in := []*Node{x, w}
	if bias != nil {
		in = append(in, bias)
	}
	return b.apply(linear{bias: bias != nil, bf16: b.bf16}, in...)
}

// LinearIn is x [N, M] · w + bias + residual with w [M, E]: (N, E). bias and
// residual may be nil.
func (b *Builder) LinearIn(x, w, bias, residual *Node) *Node {
	in := []*Node{x, w}
	for _, n := range []*Node{bias, residual} {
		if n != nil {
			in = append(in, n)
		}
	}
	return b.apply(linear{in: true, bias: bias != nil, residual: residual != nil, bf16: b.bf16}, in...)
}

// LayerNorm normalises rows of x [N, E] with the block [gain E | bias E]: (N, E).
func (b *Builder) LayerNorm(x, gainBias *Node, eps float32) *Node {
	return b.apply(layerNorm{eps}, x, gainBias)
}

// RMSNorm normalises rows of x [N, E] with gain [E]: (N, E).
func (b *Builder) RMSNorm(x, gain *Node, eps float32) *Node { return b.apply(rmsNorm{eps}, x, gain) }

// RoPE rotates the pairs of q and k in rows of q, k, v (see Shape). freqs has the
// angle a position of each pair, one list for each K/V head or one for all;
// length is the number of positions the tables must reach. In decoding, cache
// gives each sequence's position; else it is nil and every sequence starts at 0.
func (b *Builder) RoPE(qkv *Node, freqs [][]float32, s Shape, length int, cache *Cache) *Node {
	if b.err != nil {
		return nil
	}
	return b.apply(rope{s: s, tables: b.tables(freqs, length), cache: cache}, qkv)
}

func (b *Builder) tables(freqs [][]float32, length int) *rotary {
	h := fnv.New64a()
	var flat []float32
	for _, l := range freqs {
		flat = append(flat, l...)
	}
	for _, f := range flat {
		var word [4]byte
		binary.LittleEndian.PutUint32(word[:], math.Float32bits(f))
		h.Write(word[:])
	}
	key := fmt.Sprintf("%dx%d %d %016x", len(freqs), len(flat), length, h.Sum64())
	if t, ok := b.rotary[key]; ok {
		return t
	}
	n := length * len(flat)
	t := &rotary{key: key, cos: make([]float32, n), sin: make([]float32, n), perHead: len(freqs) > 1}
	kernel.RoPETable(t.cos, t.sin, flat, length)
	b.rotary[key] = t
	return t
}

// Attention is softmax attention over rows of q, k, v: (B·T, G·R·VO).
func (b *Builder) Attention(qkv *Node, s Shape) *Node { return b.apply(attention{s}, qkv) }

// CachedAttention is attention of new tokens over the cache of one layer, to
// which it adds them: (B·T, G·R·VO). It has no gradient.
func (b *Builder) CachedAttention(qkv *Node, s Shape, layer int, cache *Cache) *Node {
	return b.apply(cachedAttention{s, layer, cache}, qkv)
}

// AddPositions is AddRows for decoding, at the positions of the cache.
func (b *Builder) AddPositions(x, pos *Node, t int, cache *Cache) *Node {
	return b.apply(addPositions{t, cache}, x, pos)
}

// GELU is x·Φ(x), or with tanh GPT-2's approximation.
func (b *Builder) GELU(x *Node, tanh bool) *Node { return b.apply(gelu{tanh}, x) }

// SwiGLU is silu(gate)·up of rows [gate F | up F]: (N, F).
func (b *Builder) SwiGLU(gateUp *Node) *Node { return b.apply(swiGLU{}, gateUp) }

// Add is x + y.
func (b *Builder) Add(x, y *Node) *Node { return b.apply(add{}, x, y) }

// HeadLoss is scale times the summed cross-entropy of logits x·wᵀ + bias against
// targets: a scalar. It adds the outputs "loss" and "nll" (each row's loss [N]).
func (b *Builder) HeadLoss(x, w, bias, targets, scale *Node, smoothing float32) *Node {
	in := []*Node{x, w, targets, scale}
	if bias != nil {
		in = append(in, bias)
	}
	loss := b.apply(headLoss{smoothing: smoothing, train: b.train, bias: bias != nil, bf16: b.bf16}, in...)
	if b.err != nil {
		return nil
	}
	n, _ := rows(x.Shape())
	b.Output("loss", loss)
	b.Output("nll", b.apply(headView{what: "nll", to: tensor.Shape{n}}, loss))
	return loss
}

// Output names a value to be read after a run.
func (b *Builder) Output(name string, n *Node) {
	if b.err == nil {
		b.outputs = append(b.outputs, output{name, n})
	}
}

// Tap marks the value whose columns from col0 on are the units of a coupled
// dimension, width adjacent columns each; sequences is B. In training with taps,
// "gate:"+dim becomes an output [B, units].
func (b *Builder) Tap(dim string, n *Node, sequences, col0, units, width int) {
	if b.err == nil {
		b.taps = append(b.taps, tap{dim, n, sequences, col0, units, width})
	}
}
