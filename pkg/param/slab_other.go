//go:build !linux

package param

// mapping is ordinary Go memory where the project has no mapping of its own.
// A shortened slab keeps its memory until it is copied or closed.
type mapping struct{ data []float32 }

func mapMemory(n int) mapping { return mapping{make([]float32, (n+3)/4)} }

// mapAligned is mapMemory: where memory begins is the system's affair.
func mapAligned(n int) mapping { return mapMemory(n) }

// size is the bytes that are there.
func (m *mapping) size() int { return 4 * len(m.data) }

// cut takes the first n bytes, whole pages, out of m.
func (m *mapping) cut(n int) mapping {
	c := mapping{m.data[: n/4 : n/4]}
	m.data = m.data[n/4:]
	return c
}

func (m *mapping) floats(n int) []float32 { return m.data[:n:n] }

func (m *mapping) forget(x []float32, _, _ int) { clear(x) }

func (m *mapping) sparse() {}

func (m *mapping) release(n int) {
	if n == 0 {
		m.data = nil
	}
}
