package graph

import (
	"sort"

	"gorgonia.org/gorgonia"
)

// operands are the nodes that n is computed from, in order.
func operands(g *gorgonia.ExprGraph, n *Node) []*Node {
	var in []*Node
	for it := g.From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*Node))
	}
	return in
}

// live is the nodes that the roots need.
func live(g *gorgonia.ExprGraph, roots []*Node) map[*Node][]*Node {
	seen := map[*Node][]*Node{}
	stack := append([]*Node(nil), roots...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, ok := seen[n]; ok {
			continue
		}
		in := operands(g, n)
		seen[n] = in
		stack = append(stack, in...)
	}
	return seen
}

// schedule orders the live nodes that compute something. Nodes come in the
// order in which they were made, which is a topological one; a node that no
// other waits for (a parameter's gradient, a gate, an output) runs as soon as
// its last operand is there, so that it keeps nothing alive.
func schedule(nodes map[*Node][]*Node) []*Node {
	waits := map[*Node]int{} // consumers
	var all []*Node
	for n, in := range nodes {
		for _, o := range in {
			waits[o]++
		}
		if n.Op() != nil && len(in) > 0 {
			all = append(all, n)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID() < all[j].ID() })
	after := map[*Node][]*Node{} // sinks by the operand made last
	var order []*Node
	for _, n := range all {
		if waits[n] > 0 {
			order = append(order, n)
			continue
		}
		var last *Node
		for _, o := range nodes[n] {
			if o.Op() != nil && len(nodes[o]) > 0 && (last == nil || o.ID() > last.ID()) {
				last = o
			}
		}
		after[last] = append(after[last], n)
	}
	out := append([]*Node(nil), after[nil]...)
	for _, n := range order {
		out = append(append(out, n), after[n]...)
	}
	return out
}
