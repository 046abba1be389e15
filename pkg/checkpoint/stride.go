package checkpoint

// loop is one dimension of a strided copy: n steps, each so many elements
// further in the destination and in the source.
type loop struct{ n, dst, src int }

// tile is the side of the blocks in which a transposition moves: sixteen
// float32 are one cache line on either side.
const tile = 16

// copyBox copies a box of elements between two layouts:
//
//	dst[sum_d i_d·loops[d].dst] = src[sum_d i_d·loops[d].src]   for every index i
//
// The order of the loops does not matter to the result; the slice is used as
// working space. Adjacent stretches are
// moved as such, and a transposition in tiles, so that every cache line is
// fetched once.
func copyBox(dst, src []float32, loops []loop) {
	c := boxCopy{dst: dst, src: src}
	several := loops[:0]
	for _, l := range loops {
		if l.n == 0 {
			return
		}
		if l.n > 1 {
			several = append(several, l)
		}
	}
	loops = several
	along, across := -1, -1 // adjacent in the destination, in the source
	for i, l := range loops {
		if l.dst == 1 {
			along = i
		}
		if l.src == 1 {
			across = i
		}
	}
	switch {
	case len(loops) == 0:
		dst[0] = src[0]
		return
	case along >= 0 && loops[along].src == 1:
		c.inner, across = stretch, along
		c.a = loops[along]
	case along >= 0 && across >= 0:
		c.inner = transpose
		c.a, c.b = loops[along], loops[across]
	default:
		c.inner, along = spread, len(loops)-1
		across = along
		c.a = loops[along]
	}
	for i, l := range loops {
		if i != along && i != across {
			c.outer = append(c.outer, l)
		}
	}
	c.walk(0, 0, 0)
}

// boxCopy is a copyBox on its way: the outer loops, and what is done inside of them.
type boxCopy struct {
	dst, src []float32
	outer    []loop
	inner    func(c *boxCopy, d, s int)
	a, b     loop // of inner
}

func (c *boxCopy) walk(level, d, s int) {
	if level == len(c.outer) {
		c.inner(c, d, s)
		return
	}
	l := c.outer[level]
	for i := range l.n {
		c.walk(level+1, d+i*l.dst, s+i*l.src)
	}
}

// stretch: adjacent on both sides.
func stretch(c *boxCopy, d, s int) { copy(c.dst[d:d+c.a.n], c.src[s:s+c.a.n]) }

// spread: one element at a time.
func spread(c *boxCopy, d, s int) {
	for range c.a.n {
		c.dst[d] = c.src[s]
		d, s = d+c.a.dst, s+c.a.src
	}
}

// transpose: a is adjacent in the destination, b in the source.
func transpose(c *boxCopy, d, s int) {
	a, b := c.a, c.b
	for i := 0; i < a.n; i += tile {
		ni := min(tile, a.n-i)
		for j := 0; j < b.n; j += tile {
			for k := j; k < min(j+tile, b.n); k++ {
				row := c.dst[d+i+k*b.dst:][:ni]
				at := s + i*a.src + k
				for m := range row {
					row[m] = c.src[at]
					at += a.src
				}
			}
		}
	}
}
