package graph

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/param"
)

// Machine runs a lowered graph; it is a gorgonia.VM. Everything is bound when it
// is lowered, so a run walks a list of calls and allocates nothing. It is used by
// one goroutine at a time.
type Machine struct {
	plan       *Plan
	calls      []bound
	checks     []bound
	foreign    []foreignLeaf
	ints       map[string]*intInput
	floats     map[string][]float32
	outputs    map[string]value
	arena      *param.Slab
	shared     bool            // the arena is LowerOptions.Arena
	first      []int           // calls that can overwrite a gradient: its first deposit
	fresh      map[string]bool // blocks whose gradient those are of
	arenaStart int64           // LowerOptions.InGradients: Plan.arenaStart
	closed     bool
	// finished is LowerOptions.Finished.
	finished func(lo, hi int)
}

type bound struct {
	op *Op
	Call
	phase        Phase
	grad         bool   // out is a parameter's gradient
	label, block string // for FirstNonFinite
	done         []span // stretches of the gradient slab that this call is the last to write
}

// value is where an output can be read, and its shape.
type value struct {
	f     []float32
	shape []int
}

// intInput is an input of integers and the range that operations take: at least
// lo, below hi.
type intInput struct {
	v      []int32
	lo, hi int32
}

func newIntInput(n int) *intInput {
	return &intInput{v: make([]int32, n), lo: math.MinInt32, hi: math.MaxInt32}
}

// ErrClosed is returned when a machine is run after it was closed or replaced.
var ErrClosed = errors.New("graph: the machine is closed")

var errInGradients = errors.New("graph: gradients whose memory holds values of the run cannot be added to")

var _ gorgonia.VM = (*Machine)(nil)

func newMachine() *Machine {
	return &Machine{ints: map[string]*intInput{}, floats: map[string][]float32{}, outputs: map[string]value{}}
}

// Plan is what the machine does in a run and the memory it takes.
func (m *Machine) Plan() *Plan { return m.plan }

// SetInts gives the integer input name its values. It fails when their number is
// not the input's, or a value is outside what the operations that read it take.
func (m *Machine) SetInts(name string, v []int32) error {
	in, ok := m.ints[name]
	if !ok || len(in.v) != len(v) {
		return fmt.Errorf("graph: integer input %q: found %d values, expected %d", name, len(v), m.size(name))
	}
	for i, x := range v {
		if x < in.lo || x >= in.hi {
			return fmt.Errorf("graph: integer input %q: value %d is %d, expected below %d%s", name, i, x, in.hi, atLeast(in.lo))
		}
	}
	copy(in.v, v)
	return nil
}

func atLeast(lo int32) string {
	if lo == math.MinInt32 {
		return ""
	}
	return fmt.Sprintf(" and at least %d", lo)
}

// Has reports whether the graph reads an input of this name.
func (m *Machine) Has(name string) bool { return m.size(name) > 0 }

// SetFloats gives the input name (Builder.Floats, Scalar) its values, row-major.
func (m *Machine) SetFloats(name string, v ...float32) error {
	in, ok := m.floats[name]
	if !ok || len(in) != len(v) {
		return fmt.Errorf("graph: input %q: found %d values, expected %d", name, len(v), m.size(name))
	}
	copy(in, v)
	return nil
}

// size is the number of values of an input, 0 if the graph has none of the name.
func (m *Machine) size(name string) int {
	if in, ok := m.ints[name]; ok {
		return len(in.v)
	}
	return len(m.floats[name])
}

// Output is a named value of the last run, row-major, or nil. It is a view that
// the next run overwrites.
func (m *Machine) Output(name string) []float32 { return m.outputs[name].f }

// Outputs lists the named values with their shapes.
func (m *Machine) Outputs() map[string][]int {
	out := map[string][]int{}
	for name, v := range m.outputs {
		out[name] = v.shape
	}
	return out
}

// RunAll runs the graph once: it implements gorgonia.VM. Gradients of parameters
// are added to what the gradient slab holds. After an error they are partial. A
// machine whose values live in the gradients (LowerOptions.InGradients) has RunFresh only.
func (m *Machine) RunAll() error {
	if m.arenaStart > 0 {
		return errInGradients
	}
	return m.run()
}

func (m *Machine) run() error {
	if m.closed {
		return ErrClosed
	}
	for i := range m.checks {
		c := &m.checks[i]
		if err := c.op.Check(&c.Call); err != nil {
			return fmt.Errorf("graph: %s: %w", c.op.Name, err)
		}
	}
	for _, f := range m.foreign {
		if err := f.read(); err != nil {
			return err
		}
	}
	for i := range m.calls {
		c := &m.calls[i]
		if c.op.Run(&c.Call); c.Err != nil {
			return fmt.Errorf("graph: %s: %w", c.op.Name, c.Err)
		}
		for _, d := range c.done {
			m.finished(d.lo, d.hi)
		}
	}
	return nil
}

// RunFresh is RunAll, but the gradients of the blocks that Overwrites reports are
// overwritten instead of added to: they need not be cleared before.
func (m *Machine) RunFresh() error {
	m.overwrite(true)
	err := m.run()
	m.overwrite(false)
	return err
}

// Overwrites reports whether RunFresh overwrites a block's gradient.
func (m *Machine) Overwrites(block string) bool { return m.fresh[block] }

func (m *Machine) overwrite(fresh bool) {
	if m.closed {
		return
	}
	for _, i := range m.first {
		if c := &m.calls[i]; len(c.Deposits) > 0 {
			c.Fresh = fresh
		} else {
			c.Add = !fresh
		}
	}
}

// Reset implements gorgonia.VM; a machine keeps no state between runs but its inputs.
func (m *Machine) Reset() {}

// Close gives the arena back. It implements gorgonia.VM.
func (m *Machine) Close() error {
	if m.arena != nil && !m.shared {
		m.arena.Close()
	}
	m.arena = nil
	m.closed, m.calls, m.outputs = true, nil, nil
	return nil
}
