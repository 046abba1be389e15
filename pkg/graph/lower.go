package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// LowerOptions say how a graph becomes a machine.
type LowerOptions struct {
	Pool *kernel.Pool
	// Grads, for a graph built to train, is the slab that parameter gradients
	// are added to; nil makes none.
	Grads *param.Slab
	// AdapterGrads is the same for the adapters (Builder.Adapt).
	AdapterGrads *param.Slab
	// Taps asks for the gate gradients of every tap as outputs. It needs Grads, or a graph
	// built with BuildOptions.Gates.
	Taps bool
	// Observe, where it is not nil, is shown the value of every site [rows, cols]
	// during a run; x is valid until Observe returns. Its error ends the run.
	Observe func(site string, x []float32, rows, cols int) error
	// Sites names those that Observe is shown; nil is all.
	Sites []string
	// SitesOnly computes what Observe is shown and no outputs: a loss, and the inputs
	// that only it reads, are left out.
	SitesOnly bool
	// BF16, where it is not nil, is the weights as bfloat16, laid out as their slab
	// (kernel.ToBF16): products of the form Linear and LinearIn, and the gradients
	// of their inputs, read it instead. Whoever changes the weights keeps it up to date.
	BF16 []uint16
	// Finished, where it is not nil, is called during a run for each stretch of the
	// slab Grads, as soon as nothing more will be added to it in that run, in an order that is
	// the same in every run and on every machine of the same graph.
	Finished func(lo, hi int)
	// InGradients lets values live in the memory of gradients that are not written yet. The
	// machine then has RunFresh only, not RunAll: gradients of several runs cannot be
	// summed. It has an effect where Grads is given.
	InGradients bool
	// Update, where it is not nil, takes the place of Grads: it is called during a run for
	// each block of parameters that the loss depends on, with the block's gradient of that run, as soon as this is
	// complete, the loss is known and nothing of the run reads the block's weights any longer;
	// it may change both. The gradient's memory is another's afterwards. The order of blocks is the same in
	// every run. Its error ends the run.
	Update func(b *param.Block, grad []float32) error
	// Recompute trades time for memory; the zero value keeps all.
	Recompute Recompute
	// Reuse is a machine that this one replaces: its arena is taken over where
	// it is large enough, and what is left of it goes back to the system.
	Reuse *Machine
	// Arena, where it is not nil and large enough, is memory of the caller's in which the
	// machine's arena lies. Machines that share it run in turn, and a run overwrites the
	// outputs of the others.
	Arena *param.Slab
	// private gives every value memory of its own: the oracle of the plan.
	private bool
	// wide stores every value as float32: the oracle of narrow.
	wide bool
	// poison fills memory with NaN as soon as nothing needs it any longer.
	poison bool
}

// lowering is the state of one Lower, which its passes change in turn.
type lowering struct {
	b          *Builder
	o          LowerOptions
	grads      [2]bool // gradients that are wanted: of the parameters, of the adapters
	m          *Machine
	diff       *backward // nil without gradients
	steps      map[*Node]*step
	leaves     []*step
	order      []*step
	outputs    []namedStep
	bufs       []*Buffer
	arena      int64 // bytes
	arenaStart int64 // where the arena begins among offsets

	blockwise bool                  // LowerOptions.Update
	blocks    map[string]*blockGrad // with blockwise
}

type namedStep struct {
	name string
	step *step
}

// Lower differentiates the graph where gradients are asked for and makes the
// machine that runs it. A graph can be lowered several times.
func (b *Builder) Lower(o LowerOptions) (m *Machine, err error) {
	if b.err != nil {
		return nil, b.err
	}
	defer caught(&err, "lower")
	if o.Pool == nil {
		return nil, errors.New("graph: LowerOptions.Pool is missing")
	}
	for i, set := range []*param.Set{b.set, b.more} {
		if set != nil && set.Weights == nil {
			return nil, errors.New("graph: the parameters have no storage")
		}
		if g := []*param.Slab{o.Grads, o.AdapterGrads}[i]; g != nil && len(g.Data) != slabLen(set) {
			return nil, fmt.Errorf("graph: the gradient slab has %d values, the weights %d", len(g.Data), slabLen(set))
		}
	}
	if err := b.frozen(o); err != nil {
		return nil, err
	}
	if n := slabLen(b.set); o.BF16 != nil && len(o.BF16) != n {
		return nil, fmt.Errorf("graph: the bfloat16 weights have %d values, the weights %d", len(o.BF16), n)
	}
	if o.Update != nil && o.Grads != nil {
		return nil, errors.New("graph: LowerOptions has both Grads and Update, which takes its place")
	}
	l := &lowering{
		b: b, o: o, grads: [2]bool{o.Grads != nil || o.Update != nil, o.AdapterGrads != nil},
		blockwise: o.Update != nil, steps: map[*Node]*step{}, m: newMachine(),
	}
	if err := l.arrange(); err != nil {
		return nil, err
	}
	l.allocate()
	if err := l.bind(); err != nil {
		return nil, errors.Join(err, l.m.Close())
	}
	switch { // one of the two is trained
	case o.Grads != nil:
		l.m.finish(o.Grads.Data, o.Finished)
	case o.AdapterGrads != nil:
		l.m.finish(o.AdapterGrads.Data, o.Finished)
	}
	return l.m, nil
}

// frozen fails where parameters are to be trained that are stored as neither float32 nor
// bfloat16.
func (b *Builder) frozen(o LowerOptions) error {
	for i, set := range []*param.Set{b.set, b.more} {
		if set == nil || ![]bool{o.Grads != nil || o.Update != nil, o.AdapterGrads != nil}[i] {
			continue
		}
		for _, bl := range set.Blocks {
			if t := bl.DType(); t == param.Q8 {
				return fmt.Errorf("graph: gradients of %s: %w but as %s", bl.Name, param.ErrStored, t)
			}
		}
	}
	return nil
}

// readable fails where an operation reads a parameter as float32 that is stored otherwise.
func (l *lowering) readable(s *step) error {
	for i, in := range s.in {
		p, ok := l.b.params[in.node.Name()]
		if !ok || p.node != in.node || p.block.DType() == param.F32 || s.op != nil && has(s.op.Stored, i) {
			continue
		}
		return fmt.Errorf("graph: %s reads %s as float32: %w as %s", s.label(), p.block.Name, param.ErrStored, p.block.DType())
	}
	return nil
}

// caught makes a panic an error: Gorgonia panics on some graphs that it cannot handle.
func caught(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("graph: %s: %v", doing, r)
	}
}

// slabLen is the length of a slab parallel to the set.
func slabLen(s *param.Set) int {
	if s == nil {
		return 0
	}
	return s.Len()
}

// PlanOptions say for what machine a plan is wanted; see the fields of
// LowerOptions of the same names.
type PlanOptions struct {
	Taps        bool
	Recompute   Recompute
	InGradients bool
	Update      bool // LowerOptions.Update is given
	// Sites, where there are any, makes the plan that of a machine that shows these sites
	// and makes no outputs (LowerOptions.SitesOnly).
	Sites []string
}

// Plan is the plan of the machine that Lower would make, with gradients if the
// graph is built to train: those of the adapters only if there are any. It needs
// no memory, not even for the parameters (see param.Layout): so the cost of a model
// is known before it exists.
func (b *Builder) Plan(o PlanOptions) (p *Plan, err error) {
	if b.err != nil {
		return nil, b.err
	}
	defer caught(&err, "plan")
	l := &lowering{
		b: b, o: LowerOptions{Taps: o.Taps, Recompute: o.Recompute, InGradients: o.InGradients},
		grads:     [2]bool{b.o.Train && b.more == nil && o.Sites == nil, b.o.Train && b.more != nil && o.Sites == nil},
		blockwise: o.Update, steps: map[*Node]*step{}, m: newMachine(),
	}
	if len(o.Sites) > 0 {
		l.o.Sites, l.o.SitesOnly = o.Sites, true
		l.o.Observe = func(string, []float32, int, int) error { return nil }
	}
	if err := l.arrange(); err != nil {
		return nil, err
	}
	return l.m.plan, nil
}

// arrange decides what is computed, in which order, and where every value lives.
func (l *lowering) arrange() error {
	if err := l.gather(); err != nil {
		return err
	}
	l.schedule()
	l.recompute()
	l.watch()
	l.narrow()
	l.arrangeMemory()
	l.m.plan = l.plan()
	return nil
}

// gather finds what has to be computed: outputs, gradients, gates.
func (l *lowering) gather() error {
	if err := l.b.checkScopes(l.o.Recompute); err != nil {
		return err
	}
	var named []output
	if !l.o.SitesOnly {
		named = append(named, l.b.outputs...)
	}
	of, err := l.wanted()
	if err != nil {
		return err
	}
	if of != [2]bool{} {
		d, err := l.b.differentiate(of)
		if err != nil {
			return err
		}
		l.diff = d
	}
	if l.o.Taps {
		gates, err := l.b.gates()
		if err != nil {
			return err
		}
		named = append(named, gates...)
	}
	var roots []*Node
	for _, o := range named {
		roots = append(roots, o.node)
	}
	if l.diff != nil {
		for _, t := range l.diff.terms {
			roots = append(roots, t.node)
		}
	}
	if l.o.Observe != nil {
		shown, err := l.shown()
		if err != nil {
			return err
		}
		for _, s := range shown {
			roots = append(roots, s.node)
		}
	}
	l.collect(roots)
	for _, o := range named {
		l.outputs = append(l.outputs, namedStep{o.name, l.steps[o.node]})
	}
	if l.diff != nil {
		for _, t := range l.diff.terms {
			s := l.steps[t.node]
			s.terms = append(s.terms, t.of)
		}
	}
	return nil
}

// wanted is the sets whose gradients are computed.
func (l *lowering) wanted() (of [2]bool, err error) {
	if l.o.SitesOnly && (l.o.Observe == nil || l.grads != [2]bool{}) {
		return of, errors.New("graph: SitesOnly needs Observe, and no gradients")
	}
	of = l.grads
	switch gates := l.b.o.Gates; {
	case gates && of != [2]bool{}:
		return of, errors.New("graph: a graph built for gates only has no gradients of parameters")
	case gates && l.o.Taps:
		of = [2]bool{true, false}
	case l.o.Taps && of == [2]bool{}:
		return of, errors.New("graph: gates need gradients")
	}
	return of, nil
}

// leaf decides where a step without operands lives: a parameter in its slab, an
// input in memory of the machine's own, a constant in the graph.
func (l *lowering) leaf(s *step) {
	n, name := s.node, s.node.Name()
	switch {
	case l.b.params[name].node == n:
		p := l.b.params[name]
		if w := p.block.Stored(p.set); w.F32 == nil {
			s.mem.bf16, s.mem.q8 = w.BF16, w.Q8
			return
		}
		s.mem.fixed = p.in(p.set.Weights)
		if l.o.BF16 != nil && p.set == l.b.set {
			s.mem.bf16 = l.o.BF16[p.block.Offset:][:p.block.Size()]
		}
	case l.b.inputs[name] != n: // see foreign
		s.mem.value = &stockValue{node: n}
	case n.Dtype() == tensor.Int32:
		in := newIntInput(s.size())
		s.mem.ids = in.v
		l.m.ints[name] = in
	default:
		s.mem.fixed = make([]float32, s.size())
		l.m.floats[name] = s.mem.fixed
	}
}
