package graph

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Phase says in which part of a run a step stands.
type Phase uint8

// The phases of a run. A Recomputed step repeats one of the forward pass.
const (
	Forward Phase = iota
	Backward
	Recomputed
)

func (p Phase) String() string { return [...]string{"forward", "backward", "recomputed"}[p] }

// step is one operation of a machine, or a leaf: a parameter, an input, a
// constant, which computes nothing.
type step struct {
	node  *Node
	op    *Op // nil for a leaf
	in    []*step
	phase Phase
	empty bool // it has no output of its own
	bf16  bool // its output is stored as bfloat16
	uses  int  // operands that it is of other steps

	terms []paramLeaf // parameters whose gradient it is a term of

	pos int // in the order
	mem storage
}

func (s *step) shape() tensor.Shape {
	if s.empty {
		return tensor.Shape{0}
	}
	return s.node.Shape()
}

func (s *step) size() int { return s.shape().TotalSize() }

// bytes is the memory of the output, whole float32 values of it.
func (s *step) bytes() int64 {
	if s.bf16 {
		return int64(s.size()+1) / 2 * 4
	}
	return int64(4 * s.size())
}

func (s *step) shapes() []tensor.Shape {
	out := make([]tensor.Shape, len(s.in))
	for i, o := range s.in {
		out[i] = o.shape()
	}
	return out
}

// label is the operation's name for people: without attributes.
func (s *step) label() string {
	if s.op == nil {
		return s.node.Name()
	}
	name, _, _ := strings.Cut(s.op.Name, "(")
	return name
}

// storage is where a step's output, and what it saves, live.
type storage struct {
	fixed []float32 // memory from outside the arena
	bf16  []uint16
	q8    []byte
	ids   []int32
	value *stockValue // of a leaf or an operation of Gorgonia's own
	buf   *Buffer     // nil when fixed
	saved []*Buffer
	work  *Buffer // while it runs
}

// operands are the nodes that n is computed from, in order.
func operands(g *gorgonia.ExprGraph, n *Node) []*Node {
	var in []*Node
	for it := g.From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*Node))
	}
	return in
}

// collect makes steps of the nodes that the roots need, each once.
func (l *lowering) collect(roots []*Node) {
	stack := append([]*Node(nil), roots...)
	children := map[*Node][]*Node{}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if l.steps[n] != nil {
			continue
		}
		in := operands(l.b.g, n)
		s := &step{node: n, op: kernelOf(n)}
		if l.diff != nil && n.ID() >= l.diff.first {
			s.phase = Backward
		}
		if s.op == nil && len(in) > 0 {
			if isSum(n, in) {
				s.op = sum
			} else {
				s.mem.value = &stockValue{node: n}
				s.op = stockOp(n, in, s.mem.value)
			}
		}
		l.steps[n], children[n] = s, in
		stack = append(stack, in...)
	}
	for n, s := range l.steps {
		for _, o := range children[n] {
			s.in = append(s.in, l.steps[o])
		}
	}
}

// schedule orders the steps that compute something. Nodes come in the order in
// which they were made, which is a topological one; a step that no other waits
// for (a parameter's gradient, a gate, an output) runs as soon as its last
// operand is there, so that it keeps nothing alive.
func (l *lowering) schedule() {
	var all []*step
	for _, s := range l.steps {
		if s.op == nil {
			l.leaves = append(l.leaves, s)
		} else {
			all = append(all, s)
		}
	}
	byID := func(s []*step) { sort.Slice(s, func(i, j int) bool { return s[i].node.ID() < s[j].node.ID() }) }
	byID(all)
	byID(l.leaves)
	l.order = append(l.leaves[:0:0], all...)
	l.countUses()
	sinks := map[*step][]*step{} // by the operand made last
	var order []*step
	for _, s := range all {
		if s.uses > 0 {
			order = append(order, s)
			continue
		}
		var last *step
		for _, o := range s.in {
			if o.op != nil && (last == nil || o.node.ID() > last.node.ID()) {
				last = o
			}
		}
		sinks[last] = append(sinks[last], s)
	}
	l.order = append([]*step(nil), sinks[nil]...)
	for _, s := range order {
		l.order = append(append(l.order, s), sinks[s]...)
	}
}

func (l *lowering) countUses() {
	for _, s := range l.order {
		s.uses = 0
	}
	for _, s := range l.order {
		for _, o := range s.in {
			o.uses++
		}
	}
}

// shown are the sites that Observe is shown.
func (l *lowering) shown() ([]site, error) {
	if l.o.Sites == nil {
		return l.b.sites, nil
	}
	var out []site
	for _, name := range l.o.Sites {
		i := slices.IndexFunc(l.b.sites, func(s site) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("graph: no site %q, there are %s", name, strings.Join(l.b.Sites(), ", "))
		}
		out = append(out, l.b.sites[i])
	}
	return out, nil
}

// watch puts a step after each site that shows its value.
func (l *lowering) watch() {
	if l.o.Observe == nil {
		return
	}
	at := map[*Node][]string{}
	shown, _ := l.shown() // gather has asked before
	for _, s := range shown {
		at[s.node] = append(at[s.node], s.name)
	}
	order := l.order
	l.order = nil
	for _, s := range order {
		l.order = append(l.order, s)
		if s.phase != Forward {
			continue
		}
		for _, name := range at[s.node] {
			l.order = append(l.order, &step{node: s.node, op: observe(name, l.o.Observe), empty: true, in: []*step{s}})
		}
	}
}

// needFloats marks what Gorgonia's own operations produce for operations of this
// package, which read float32 only, and for outputs.
func (l *lowering) needFloats() {
	for _, s := range l.order {
		if s.mem.value != nil { // Gorgonia's own
			continue
		}
		for _, o := range s.in {
			if o.mem.value != nil {
				o.mem.value.needed = true
			}
		}
	}
	for _, o := range l.outputs {
		if o.step.mem.value != nil {
			o.step.mem.value.needed = true
		}
	}
}
