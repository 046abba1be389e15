package graph

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// NonFinite is the first value of a forward pass that is infinite or not a number.
type NonFinite struct {
	Op    string // operation that made it
	Block string // its block of parameters, or that of the nearest operation before it; "" before the first
	Value float32
}

func (n NonFinite) String() string {
	if n.Block == "" {
		return fmt.Sprintf("%g from %s", n.Value, n.Op)
	}
	return fmt.Sprintf("%g from %s at %s", n.Value, n.Op, n.Block)
}

// FirstNonFinite runs the forward pass once more on the present inputs, looking
// at every operation's output, and returns the first value that is not finite;
// nil when all are. Gradients are partial after it.
func (m *Machine) FirstNonFinite() (*NonFinite, error) {
	if m.closed {
		return nil, ErrClosed
	}
	for i := range m.calls {
		c := &m.calls[i]
		if c.phase != Forward {
			break
		}
		if c.op.Run(&c.Call); c.Err != nil {
			return nil, fmt.Errorf("graph: %s: %w", c.op.Name, c.Err)
		}
		x, bad := firstNonFinite(c.Out)
		if c.BF16 != nil {
			wide := make([]float32, len(c.BF16))
			kernel.FromBF16(wide, c.BF16)
			x, bad = firstNonFinite(wide)
		}
		if bad {
			return &NonFinite{c.label, c.block, x}, nil
		}
	}
	return nil, nil
}

func firstNonFinite(v []float32) (float32, bool) {
	for _, x := range v {
		if d := float64(x); math.IsNaN(d) || math.IsInf(d, 0) {
			return x, true
		}
	}
	return 0, false
}

// blockOf is the block of parameters that a step reads, or that of the nearest
// step before it that reads one.
func (l *lowering) blockOf(s *step) string {
	for depth := 0; s != nil && depth < len(l.order)+1; depth++ {
		var before *step
		for _, o := range s.in {
			if o.op == nil && l.b.params[o.node.Name()].node == o.node {
				return o.node.Name()
			}
			if o.op != nil && (before == nil || o.pos > before.pos) {
				before = o
			}
		}
		s = before
	}
	return ""
}
