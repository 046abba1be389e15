package coupled

import "math"

// moment is the streaming first and second moments of the columns of one
// activation, rows being tokens. The second-moment (Gram) matrix may be kept whole, in
// diagonal blocks, or not at all; or the rows are kept as they are, where they are fewer than it
// would be.
type moment struct {
	weight float64     // rows seen, decayed
	sum    []float64   // sum of h            [cols]
	square []float64   // sum of h^2          [cols]
	gram   [][]float32 // sum of h h^T of each block of adjacent columns, [width*width]; nil without
	at     []int       // first column of each block, and the end: len(gram)+1; nil without
	rows   []float32   // [rows seen, cols], where they are kept
	most   int         // rows that there will be; 0 where they are not kept
}

// newRows makes an empty moment that keeps its rows.
func newRows(cols, most int) *moment {
	m := newMoment(cols, 0)
	m.most = most
	return m
}

// tokens is the rows that are kept.
func (m *moment) tokens() int { return len(m.rows) / len(m.sum) }

// columns copies some columns of the kept rows lo..hi, less their means, to out.
func (m *moment) columns(out []float32, of []int, mean []float64, lo, hi int) {
	for i := lo; i < hi; i++ {
		row, to := m.rows[i*len(m.sum):][:len(m.sum)], out[(i-lo)*len(of):][:len(of)]
		for a, c := range of {
			to[a] = float32(float64(row[c]) - mean[c])
		}
	}
}

// newMoment makes an empty moment; blocks is the number of equal Gram blocks, 0 for none.
func newMoment(cols, blocks int) *moment {
	m := &moment{sum: make([]float64, cols), square: make([]float64, cols)}
	if blocks > 0 {
		w := cols / blocks
		for b := range blocks {
			m.gram = append(m.gram, make([]float32, w*w))
			m.at = append(m.at, b*w)
		}
		m.at = append(m.at, cols)
	}
	return m
}

// add takes rows of x, stride elements apart, whose first len(sum) elements are the columns.
func (m *moment) add(x []float32, rows, stride int, product func(c []float32, n int, x []float32, rows, stride int)) {
	for i := range rows {
		for j, v := range x[i*stride : i*stride+len(m.sum)] {
			f := float64(v)
			m.sum[j] += f
			m.square[j] += f * f
		}
	}
	m.weight += float64(rows)
	if m.most > 0 {
		if m.rows == nil {
			m.rows = make([]float32, 0, m.most*len(m.sum))
		}
		for i := range rows {
			m.rows = append(m.rows, x[i*stride:][:len(m.sum)]...)
		}
	}
	for b, g := range m.gram {
		product(g, m.at[b+1]-m.at[b], x[m.at[b]:], rows, stride)
	}
}

// addProduct is c[n,n] += x^T x for x of `rows` rows of n columns, stride elements
// apart: the readable default of Options.Product.
func addProduct(c []float32, n int, x []float32, rows, stride int) {
	for r := range rows {
		row := x[r*stride : r*stride+n]
		for i, a := range row {
			if a == 0 {
				continue
			}
			to := c[i*n : (i+1)*n]
			for j, b := range row {
				to[j] += a * b
			}
		}
	}
}

func (m *moment) decay(f float64) {
	m.weight *= f
	for i := range m.sum {
		m.sum[i] *= f
		m.square[i] *= f
	}
	for _, g := range m.gram {
		for i := range g {
			g[i] *= float32(f)
		}
	}
	for i := range m.rows {
		m.rows[i] *= float32(math.Sqrt(f))
	}
}

// keep leaves the given columns, ascending; blocks that lose all of theirs go.
func (m *moment) keep(cols []int) {
	sum, square := make([]float64, len(cols)), make([]float64, len(cols))
	for i, c := range cols {
		sum[i], square[i] = m.sum[c], m.square[c]
	}
	if m.rows != nil {
		rows := make([]float32, m.tokens()*len(cols))
		m.columns(rows, cols, make([]float64, len(m.sum)), 0, m.tokens())
		m.rows = rows
	}
	m.sum, m.square = sum, square
	if m.gram == nil {
		return
	}
	gram, at := [][]float32{}, []int{0}
	for b, g := range m.gram {
		lo, w := m.at[b], m.at[b+1]-m.at[b]
		var in []int
		for _, c := range cols {
			if c >= lo && c < lo+w {
				in = append(in, c-lo)
			}
		}
		if len(in) == 0 {
			continue
		}
		s := make([]float32, 0, len(in)*len(in))
		for _, i := range in {
			for _, j := range in {
				s = append(s, g[i*w+j])
			}
		}
		gram, at = append(gram, s), append(at, at[len(at)-1]+len(in))
	}
	m.gram, m.at = gram, at
}

// block copies out the mean of h h^T over the columns lo to hi, which lie within one block.
func (m *moment) block(lo, hi int) []float64 {
	n := hi - lo
	out := make([]float64, n*n)
	for b, g := range m.gram {
		if w := m.at[b+1] - m.at[b]; lo >= m.at[b] && hi <= m.at[b+1] {
			for i := range n {
				for j := range n {
					out[i*n+j] = float64(g[(lo-m.at[b]+i)*w+lo-m.at[b]+j]) / m.weight
				}
			}
		}
	}
	return out
}

// mean is the mean of h over the columns lo to hi.
func (m *moment) mean(lo, hi int) []float64 {
	out := make([]float64, hi-lo)
	for i := range out {
		out[i] = m.sum[lo+i] / m.weight
	}
	return out
}
