package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/param"
)

// Machine runs a lowered graph; it is a gorgonia.VM. Everything is bound when it
// is lowered, so a run walks a list of calls. It is used by one goroutine at a time.
type Machine struct {
	plan    *Plan
	calls   []bound
	ints    map[string][]int32
	floats  map[string][]float32
	outputs map[string]value
	arena   *param.Slab
}

type bound struct {
	op kernelOp
	call
}

// value is where an output can be read, and its shape.
type value struct {
	f     []float32
	shape []int
}

var _ gorgonia.VM = (*Machine)(nil)

// Plan is what the machine does in a run and the memory it takes.
func (m *Machine) Plan() *Plan { return m.plan }

// SetInts gives the integer input name its values; the length must be the input's.
func (m *Machine) SetInts(name string, v []int32) error {
	in, ok := m.ints[name]
	if !ok || len(in) != len(v) {
		return fmt.Errorf("graph: integer input %q takes %d values, found %d", name, len(in), len(v))
	}
	copy(in, v)
	return nil
}

// SetFloats gives the input name (Builder.Floats, Scalar) its values, row-major.
func (m *Machine) SetFloats(name string, v ...float32) error {
	in, ok := m.floats[name]
	if !ok || len(in) != len(v) {
		return fmt.Errorf("graph: input %q takes %d values, found %d", name, len(in), len(v))
	}
	copy(in, v)
	return nil
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
// are added to what the gradient slab holds.
func (m *Machine) RunAll() error {
	for i := range m.calls {
		c := &m.calls[i]
		c.op.run(&c.call)
	}
	return nil
}

// Reset implements gorgonia.VM; a machine keeps no state between runs but its inputs.
func (m *Machine) Reset() {}

// Close gives the arena back. It implements gorgonia.VM.
func (m *Machine) Close() error {
	if m.arena != nil {
		m.arena.Close()
		m.arena = nil
	}
	m.calls = nil
	return nil
}
