package coupled

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// SaveMoments writes the second moments of activations, of matrices the lower half; nothing
// says what they are of: LoadMoments reads them into evidence of the same options and layers.
// Of what keeps rows these are written instead.
func (e *Evidence) SaveMoments(w io.Writer) error {
	buf := make([]byte, 0, 1<<16)
	err := e.visitMoments(func(f64 []float64, f32 []float32) error {
		buf = buf[:0]
		for _, x := range f64 {
			buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(x))
		}
		for _, x := range f32 {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		_, err := w.Write(buf)
		return err
	})
	if err != nil {
		return fmt.Errorf("save moments: %w", err)
	}
	return nil
}

// LoadMoments reads what SaveMoments wrote.
func (e *Evidence) LoadMoments(r io.Reader) error {
	var buf []byte
	err := e.visitMoments(func(f64 []float64, f32 []float32) error {
		if n := 8*len(f64) + 4*len(f32); cap(buf) < n {
			buf = make([]byte, n)
		} else {
			buf = buf[:n]
		}
		if _, err := io.ReadFull(r, buf); err != nil {
			return err
		}
		for i := range f64 {
			f64[i] = math.Float64frombits(binary.LittleEndian.Uint64(buf[8*i:]))
		}
		for i := range f32 {
			f32[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load moments: %w", err)
	}
	for _, n := range e.layers() {
		for _, m := range e.sites[n].moments() {
			for b, g := range m.gram {
				MirrorLower(g, m.at[b+1]-m.at[b])
			}
		}
	}
	return nil
}

// MomentBytes is what SaveMoments writes, at most.
func (e *Evidence) MomentBytes() (n int64) {
	_ = e.visitMoments(func(f64 []float64, f32 []float32) error { // counting cannot fail
		n += 8*int64(len(f64)) + 4*int64(len(f32))
		return nil
	})
	for _, s := range e.sites {
		for _, m := range s.moments() {
			n += 4 * int64(m.most*len(m.sum)-len(m.rows))
		}
	}
	return n
}

// visitMoments calls each for every number of the moments; of matrices row after row up to
// the diagonal.
func (e *Evidence) visitMoments(each func(f64 []float64, f32 []float32) error) error {
	for _, n := range e.layers() {
		for _, m := range e.sites[n].moments() {
			weight := []float64{m.weight}
			for _, x := range [][]float64{weight, m.sum, m.square} {
				if err := each(x, nil); err != nil {
					return err
				}
			}
			m.weight = weight[0]
			if err := m.visitRows(each); err != nil {
				return err
			}
			for b, g := range m.gram {
				w := m.at[b+1] - m.at[b]
				for i := range w {
					if err := each(nil, g[i*w:i*w+i+1]); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// visitRows calls each for the number of the rows that are kept, and for each of them.
func (m *moment) visitRows(each func(f64 []float64, f32 []float32) error) error {
	if m.most == 0 {
		return nil
	}
	n, cols := []float64{float64(m.tokens())}, len(m.sum)
	if err := each(n, nil); err != nil {
		return err
	}
	if !(n[0] >= 0 && n[0] <= float64(m.most)) {
		return fmt.Errorf("%g rows, expected 0 to %d", n[0], m.most)
	}
	if count := int(n[0]); count != m.tokens() {
		m.rows = make([]float32, count*cols)
	}
	for i := range m.tokens() {
		if err := each(nil, m.rows[i*cols:(i+1)*cols]); err != nil {
			return err
		}
	}
	return nil
}

// MirrorLower copies the lower half of a square matrix to the upper, in blocks.
func MirrorLower(m []float32, n int) {
	const tile = 32
	for i := 0; i < n; i += tile {
		for j := 0; j <= i; j += tile {
			for r := i; r < min(i+tile, n); r++ {
				for k := j; k < min(j+tile, r+1); k++ {
					m[k*n+r] = m[r*n+k]
				}
			}
		}
	}
}
