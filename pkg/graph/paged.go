package graph

import "fmt"

// spansFit fails when a span of a paged cache does not fit the rows of the graph or
// the pages of a layer.
func (c *Cache) spansFit(s Shape, layer int) error {
	if s.T != 1 {
		return fmt.Errorf("a cache in pages takes rows one by one, found sequences of %d", s.T)
	}
	for _, sp := range c.Spans {
		if sp.N < 1 || sp.Row < 0 || sp.Row+sp.N > s.B || sp.Pos < 0 || sp.Pos+sp.N > min(c.Capacity, len(sp.Pages)*c.PageTokens) {
			return fmt.Errorf("a span of %d rows from row %d at position %d does not fit %d rows, %d pages of %d and %d positions", sp.N, sp.Row, sp.Pos, s.B, len(sp.Pages), c.PageTokens, c.Capacity)
		}
		for _, id := range sp.Pages {
			rows := (int(id) + 1) * s.G * c.PageTokens
			if id < 0 || rows*s.QK > len(c.K[layer]) || rows*s.VO > len(c.V[layer]) {
				return fmt.Errorf("the cache has no page %d", id)
			}
		}
	}
	return nil
}

// CopyPage copies the keys and values of the first n tokens of one page of a layer
// with g K/V heads to another.
func (c *Cache) CopyPage(layer, g int, to, from int32, n, qk, vo int) {
	for _, part := range []struct {
		all   []float32
		width int
	}{{c.K[layer], qk}, {c.V[layer], vo}} {
		for h := range g {
			at := func(id int32) []float32 { return part.all[(int(id)*g+h)*c.PageTokens*part.width:][:n*part.width] }
			copy(at(to), at(from))
		}
	}
}
