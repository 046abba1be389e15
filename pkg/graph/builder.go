package graph

import (
	"errors"
	"fmt"

	_ "go4.org/unsafe/assume-no-moving-gc" // its newer version lets Gorgonia start under this Go
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/param"
)

// Builder grows a graph from a family's description. The first error sticks:
// later calls do nothing and return nil, and Lower returns it. The operations
// are one file a theme (op_*.go); Apply adds any other.
type Builder struct {
	set     *param.Set // nil in Wrap
	more    *param.Set // adapters, or nil
	o       BuildOptions
	g       *gorgonia.ExprGraph
	params  map[string]paramLeaf
	inputs  map[string]*Node
	outputs []output
	heads   int     // calls of HeadLoss so far
	losses  int     // terms of the loss so far
	loss    *Node   // the output that is differentiated
	lowRank float32 // scale of the adapters' products; 0 for none
	objects []any   // see number
	taps    []tap
	sites   []site
	rotary  map[string]*rotary
	scopes  []*scope // open checkpoints, outermost first
	scoped  map[*Node][]*scope
	diff    *backward // made by the first Lower that asks for gradients
	err     error
}

// paramLeaf is a block of parameters in the graph.
type paramLeaf struct {
	node  *Node
	block *param.Block
	set   *param.Set
}

// in is the block's part of a slab parallel to its set, nil of nil.
func (l paramLeaf) in(s *param.Slab) []float32 {
	if s == nil {
		return nil
	}
	return l.block.In(s)
}

type output struct {
	name string
	node *Node
}

// BuildOptions say what a graph is for.
type BuildOptions struct {
	Train bool // the loss makes its gradients on the way
	// Gates, instead of Train, makes the gradients of values only, which gate gradients
	// need (LowerOptions.Taps): products for gradients of parameters, a third of a step's
	// work, and the slab for them are left out.
	Gates bool
	BF16  bool // matrix products read bfloat16
	// LayerGates makes models mark the gate of every whole layer (TapLayer) beside those of
	// its units.
	LayerGates bool
	// Int8 makes products with weights of Q8 read signed bytes too, see kernel.Product.
	Int8 bool
	// Smoothing is the share of each target that training spreads over all of them,
	// 0 to 1. It is for models to read.
	Smoothing float32
	// Documents makes models take the inputs "starts" and "pos", integers [B·T]: where
	// each token's document begins in its sequence, and its position in the document.
	Documents bool
	// Teacher makes HeadLoss a DistillLoss: the teacher's hidden states [N, Width] are
	// the input TeacherInput.
	Teacher *Teacher
	// Preference makes HeadLoss judge pairs of answers: sequences lie two and two, and the
	// inputs PairsInput and ReferenceInput say which tokens are answers. The loss is scale
	// times the sum over pairs; the output RewardsOutput has the answers' rewards.
	Preference *Preference
	// States makes HeadLoss give what it reads [N, E], as StatesOutput, instead of a
	// loss: for the graph of a teacher.
	States bool
}

// NewBuilder begins a graph over the parameters of set.
func NewBuilder(set *param.Set, o BuildOptions) *Builder {
	return &Builder{
		set: set, o: o, g: gorgonia.NewGraph(),
		params: map[string]paramLeaf{}, inputs: map[string]*Node{}, rotary: map[string]*rotary{},
		scoped: map[*Node][]*scope{},
	}
}

// Wrap is a Builder over a graph that was made with Gorgonia's own functions:
// name its results with Output, then Lower it. Inputs are what gorgonia.Let
// bound to the graph's nodes, read anew in every run; values are float32.
func Wrap(g *gorgonia.ExprGraph) *Builder {
	b := NewBuilder(nil, BuildOptions{})
	b.g = g
	return b
}

// Graph is the graph that is grown: Gorgonia's own functions may add to it.
func (b *Builder) Graph() *gorgonia.ExprGraph { return b.g }

// Err is the first error.
func (b *Builder) Err() error { return b.err }

// Fail makes err stick, if it is the first.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Smoothing is BuildOptions.Smoothing.
func (b *Builder) Smoothing() float32 { return b.o.Smoothing }

// Documents is BuildOptions.Documents.
func (b *Builder) Documents() bool { return b.o.Documents }

// LayerGates is BuildOptions.LayerGates.
func (b *Builder) LayerGates() bool { return b.o.LayerGates }

// Set is the parameters that the graph is over.
func (b *Builder) Set() *param.Set { return b.set }

// Adapt adds a second set of parameters, whose gradients go to a slab of its own
// (LowerOptions.AdapterGrads), so that adapters are trained while the rest stays
// as it is. Block names must differ from those of the first set.
func (b *Builder) Adapt(adapters *param.Set) {
	if b.more != nil && b.more != adapters {
		b.Fail(errors.New("graph: a graph has one set of adapters"))
	}
	for _, bl := range adapters.Blocks {
		if b.set != nil && b.set.Block(bl.Name) != nil {
			b.Fail(fmt.Errorf("graph: both sets of parameters have a block %q", bl.Name))
		}
	}
	b.more = adapters
}

// find looks a block up in both sets.
func (b *Builder) find(block string) (paramLeaf, bool) {
	for _, set := range []*param.Set{b.set, b.more} {
		if set != nil && set.Block(block) != nil {
			return paramLeaf{block: set.Block(block), set: set}, true
		}
	}
	return paramLeaf{}, false
}

// Apply adds an operation to the graph, and notes which checkpoints it is made in.
func (b *Builder) Apply(op *Op, in ...*Node) *Node {
	if b.err != nil {
		return nil
	}
	known := nextID(b.g)
	n, err := Apply(op, in...)
	if err != nil {
		b.Fail(err)
		return nil
	}
	if n.ID() >= known && len(b.scopes) > 0 {
		b.scoped[n] = append([]*scope(nil), b.scopes...)
	}
	return n
}

// number tells objects that operations refer to apart, caches and teachers: it is in the
// operations' names, so that those on different objects are never merged.
func (b *Builder) number(object any) int {
	for i, known := range b.objects {
		if known == object {
			return i
		}
	}
	b.objects = append(b.objects, object)
	return len(b.objects) - 1
}

// input makes the named input, or returns it if it is there with this shape.
func (b *Builder) input(name string, shape tensor.Shape, make func() *Node) *Node {
	if b.err != nil {
		return nil
	}
	for _, d := range shape {
		if d < 1 {
			b.Fail(fmt.Errorf("graph: input %q has shape %v, expected positive sizes", name, shape))
			return nil
		}
	}
	if n, ok := b.inputs[name]; ok {
		if !n.Shape().Eq(shape) {
			b.Fail(fmt.Errorf("graph: input %q has shape %v, found %v", name, n.Shape(), shape))
		}
		return n
	}
	if _, ok := b.find(name); ok {
		b.Fail(fmt.Errorf("graph: input %q has the name of a block of parameters", name))
		return nil
	}
	n := make()
	b.inputs[name] = n
	return n
}

// IDs is an input of n token ids, or targets.
func (b *Builder) IDs(name string, n int) *Node {
	return b.input(name, tensor.Shape{n}, func() *Node {
		return gorgonia.NewVector(b.g, tensor.Int32, gorgonia.WithName(name), gorgonia.WithShape(n))
	})
}

// Scalar is an input of one number.
func (b *Builder) Scalar(name string) *Node {
	return b.input(name, tensor.ScalarShape(), func() *Node {
		return gorgonia.NewScalar(b.g, tensor.Float32, gorgonia.WithName(name))
	})
}

// Floats is an input of rows x cols numbers.
func (b *Builder) Floats(name string, rows, cols int) *Node {
	return b.input(name, tensor.Shape{rows, cols}, func() *Node {
		return gorgonia.NewMatrix(b.g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, cols))
	})
}

// Param is a block of parameters: [Rows, Cols], or [Size] for vectors and
// matrices of one row. nil when there is no such block, so that optional biases
// read naturally.
func (b *Builder) Param(block string) *Node {
	if b.err != nil {
		return nil
	}
	if p, ok := b.params[block]; ok {
		return p.node
	}
	p, ok := b.find(block)
	if !ok {
		return nil
	}
	bl, n := p.block, (*Node)(nil)
	if len(bl.Params[0].Dims) == 1 || bl.Rows == 1 {
		n = gorgonia.NewVector(b.g, tensor.Float32, gorgonia.WithName(block), gorgonia.WithShape(bl.Size()))
	} else {
		n = gorgonia.NewMatrix(b.g, tensor.Float32, gorgonia.WithName(block), gorgonia.WithShape(bl.Rows, bl.Cols))
	}
	p.node = n
	b.params[block] = p
	return n
}

// Output names a value to be read after a run.
func (b *Builder) Output(name string, n *Node) {
	if b.err != nil {
		return
	}
	if n == nil {
		b.Fail(fmt.Errorf("graph: output %q is missing", name))
		return
	}
	for _, o := range b.outputs {
		if o.name == name {
			b.Fail(fmt.Errorf("graph: two outputs are named %q", name))
			return
		}
	}
	b.outputs = append(b.outputs, output{name, n})
}
