//go:build !linux

package param

// mapping is ordinary Go memory where the project has no mapping of its own.
// A shortened slab keeps its memory until it is copied or closed.
type mapping struct{ data []float32 }

func mapMemory(n int) mapping { return mapping{make([]float32, (n+3)/4)} }

func (m *mapping) floats(n int) []float32 { return m.data[:n:n] }

func (m *mapping) forget(x []float32, _, _ int) { clear(x) }

func (m *mapping) sparse() {}

func (m *mapping) release(n int) {
	if n == 0 {
		m.data = nil
	}
}
