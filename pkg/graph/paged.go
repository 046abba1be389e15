package graph

import "fmt"

// spansFit fails when a span does not fit the rows of the graph or
// the pages of a layer.
func (c *Cache) spansFit(s Shape, layer int) error {
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

// PageCopy says what CopyPage copies.
type PageCopy struct {
	To, From int32 // pages
	Tokens   int   // the first of the page, so many
	Heads    int   // K/V heads of the layer
	QK, VO   int   // width of a head's keys, and of its values
}

// CopyPage copies the keys and values of the first tokens of one page of a layer to another.
func (c *Cache) CopyPage(layer int, p PageCopy) {
	for _, part := range []struct {
		all   []float32
		width int
	}{{c.K[layer], p.QK}, {c.V[layer], p.VO}} {
		for h := range p.Heads {
			at := func(id int32) []float32 {
				return part.all[(int(id)*p.Heads+h)*c.PageTokens*part.width:][:p.Tokens*part.width]
			}
			copy(at(p.To), at(p.From))
		}
	}
}
