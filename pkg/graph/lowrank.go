package graph

import (
	"github.com/ecospa/ecospa/pkg/param"
)

// Suffixes of the blocks that AdaptLinear looks for.
const (
	AdapterA = ".a" // the side of the input: [r, E] beside [M, E] of Linear, [M, r] beside [M, E] of LinearIn
	AdapterB = ".b" // the side of the output: [M, r] beside Linear's, [E, r] beside LinearIn's
)

// AdaptLinear is Adapt for low-rank adapters: every Linear and LinearIn whose weight
// is a parameter block with blocks of its name and the suffixes AdapterA and AdapterB
// among the adapters adds scale · x·A·B to its product.
func (b *Builder) AdaptLinear(adapters *param.Set, scale float32) {
	b.lowRank = scale
	b.Adapt(adapters)
}

// adapted adds the adapters' product to y, a product of x and w.
func (b *Builder) adapted(x, w, y *Node, in bool) *Node {
	if b.err != nil || b.more == nil || b.lowRank == 0 || w == nil {
		return y
	}
	name := w.Name()
	if leaf, ok := b.params[name]; !ok || leaf.node != w || b.more.Block(name+AdapterA) == nil {
		return y
	}
	a, o := b.Param(name+AdapterA), b.Param(name+AdapterB)
	var low *Node // (N, r)
	if in {
		low = b.Apply(linear(product{in: true, bf16: b.o.BF16}), x, a)
	} else {
		low = b.Apply(linear(product{bf16: b.o.BF16}), x, a)
	}
	return b.Add(y, b.Apply(linear(product{bf16: b.o.BF16}), b.Scale(low, b.lowRank), o))
}
