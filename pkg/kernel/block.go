package kernel

// block is a product of small strided matrices that nothing packs:
//
//	C (rows, cols) = [C +] A (rows, k) · B (k, cols)
//
// with A[i,k] = a[i·as+k·ak], B[k,j] = b[k·bs+j] and C[i,j] = c[i·cs+j]. Attention
// is made of these: its operands are a tile that lies in the cache already.
type block struct {
	a, b, c        []float32
	as, ak, bs, cs int
	k, rows, cols  int
	add            int // 1: add to C
	dots           [attnRows]float32
}

// blockForm is how one CPU path multiplies blocks.
type blockForm struct {
	run    func(t *block)
	rows   int // most rows of a call
	lanes  int // of a vector: a call takes strips of 2·lanes columns, at most so many, or what part says
	strips int
	part   int // most columns of a call with fewer than 2·lanes
	whole  int // columns of a whole vector where a part of one costs more, else 1
}

// maxPanel is the most rows of any path.
const maxPanel = 16

// mulBlock multiplies blocks of any size; t is scratch.
func mulBlock(t *block, c []float32, cs int, a []float32, as, ak int, b []float32, bs int, rows, k, cols int, add bool) {
	mulColumns(t, c, cs, a, as, ak, b, bs, rows, k, cols, add, 1)
}

// mulRoomy is mulBlock where there is memory behind the rows of B and C up to whole
// vectors of roomy values: what C holds there means nothing. The bits are the same.
func mulRoomy(t *block, c []float32, cs int, a []float32, as, ak int, b []float32, bs int, rows, k, cols int, add bool) {
	mulColumns(t, c, cs, a, as, ak, b, bs, rows, k, cols, add, current.vecOps.block.whole)
}

// mulColumns multiplies blocks of columns, the last of them rounded up to a multiple of whole.
func mulColumns(t *block, c []float32, cs int, a []float32, as, ak int, b []float32, bs int, rows, k, cols int, add bool, whole int) {
	f := &current.vecOps.block
	t.as, t.ak, t.bs, t.cs, t.k, t.add = as, ak, bs, cs, k, 0
	if add {
		t.add = 1
	}
	panels := (rows + f.rows - 1) / f.rows
	for i := range panels {
		lo, hi := span(rows, panels, i)
		t.rows = hi - lo
		t.a = a[lo*as:]
		for j := 0; j < cols; j += t.cols {
			if t.cols = min(f.strips, (cols-j)/(2*f.lanes)) * 2 * f.lanes; t.cols == 0 {
				t.cols = ceil(min(cols-j, f.part), whole) * whole
			}
			t.b, t.c = b[j:], c[lo*cs+j:]
			f.run(t)
		}
	}
}

// dotsTail is how many of the last of cols columns are better made as dots of
// rows than padded to a vector, and blockTail the same of a transposed product:
// what either costs grows with the columns, as a vector's does not, and where they
// meet it is the vector that counts. A head a little wider than its vectors
// (33, 49) therefore costs a little more than one that fills them.
func (f *blockForm) dotsTail(cols int) int  { return f.tail(cols, f.lanes/4) }
func (f *blockForm) blockTail(cols int) int { return f.tail(cols, 3*f.lanes/4) }

func (f *blockForm) tail(cols, most int) int {
	if r := cols % f.lanes; cols > f.lanes && r <= most {
		return r
	}
	return 0
}

// mulTail makes the last tail of cols columns of C (rows, cols), cs apart, = [C +] A (rows, k) · B
// by dots, from A's rows and B's last columns, bt, both attnStride apart; t is scratch.
func mulTail(t *block, c []float32, cs int, a, bt []float32, rows, k, cols, tail int, add bool) {
	for j := range tail {
		for lo := 0; lo < rows; lo += attnRows {
			n := min(attnRows, rows-lo)
			current.vecOps.dots(t.dots[:n], bt[j*attnStride:][:k], a[lo*attnStride:], attnStride)
			at := c[lo*cs+cols-tail+j:]
			for i, v := range t.dots[:n] {
				if add {
					v += at[i*cs]
				}
				at[i*cs] = v
			}
		}
	}
}

// roomy is n rounded up to whole vectors of AVX2, and spaced to lines of the cache, an odd
// number of them, which is also whole vectors of every path: rows so far apart are spread
// over all sets of a cache, where powers of two would share a few.
func roomy(n int) int  { return (n + 7) / 8 * 8 }
func spaced(n int) int { return ((n+15)/16 | 1) * 16 }

func blockPortable(t *block) {
	for i := range t.rows {
		c := t.c[i*t.cs:][:t.cols]
		if t.add == 0 {
			clear(c)
		}
		for k := range t.k {
			x := t.a[i*t.as+k*t.ak]
			for j, v := range t.b[k*t.bs:][:t.cols] {
				c[j] += x * v
			}
		}
	}
}

// transposeInto is dst[c·ds+r] = src[r·ss+c] for rows r and columns c.
func transposeInto(dst []float32, ds int, src []float32, ss, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	r, whole := 0, cols/8
	for ; r+8 <= rows; r += 8 {
		if whole > 0 {
			current.vecOps.transpose8(dst[r:], src[r*ss:], whole, ds, ss)
		}
		for c := 8 * whole; c < cols; c++ {
			to, from := dst[c*ds+r:][:8], r*ss+c
			for i := range to {
				to[i] = src[from]
				from += ss
			}
		}
	}
	for ; r < rows; r++ {
		for c, v := range src[r*ss:][:cols] {
			dst[c*ds+r] = v
		}
	}
}

func transpose8Portable(dst, src []float32, blocks, ds, ss int) {
	for r := range 8 {
		for c, v := range src[r*ss:][:8*blocks] {
			dst[c*ds+r] = v
		}
	}
}

func dotsPortable(s, q, keys []float32, stride int) {
	for j := range s {
		s[j] = dotRow(q, keys[j*stride:])
	}
}

func gatherPortable(dst, src []float32, rows, cols, ds, ss int) {
	for r := range rows {
		copy(dst[r*ds:][:cols], src[r*ss:])
	}
}
