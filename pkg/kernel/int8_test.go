package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// TestInt8Layout holds the offsets that the generators of scripts/asm have, in bytes.
func TestInt8Layout(t *testing.T) {
	var s int8Tile
	for i, got := range []uintptr{
		unsafe.Offsetof(s.a), unsafe.Offsetof(s.scales), unsafe.Offsetof(s.b), unsafe.Offsetof(s.bScales), unsafe.Offsetof(s.c), unsafe.Offsetof(s.init),
		unsafe.Offsetof(s.bias), unsafe.Offsetof(s.blocks), unsafe.Offsetof(s.rows), unsafe.Offsetof(s.cols), unsafe.Offsetof(s.cs), unsafe.Offsetof(s.is),
		unsafe.Offsetof(s.stored), unsafe.Offsetof(s.products),
	} {
		if want := uintptr([]int{0, 24, 48, 72, 96, 120, 144, 168, 176, 184, 192, 200, 208, 232}[i]); got != want {
			t.Errorf("field %d of int8Tile lies at %d, the assembly reads it at %d", i, got, want)
		}
	}
}

// fencedBytes is n bytes before an unreadable page, and whether those in front are as they were.
func fencedBytes(t *testing.T, n int) ([]byte, func() bool) {
	s, intact := fence(t, (n+3)/4)
	all := asBytes(s)
	front := all[:len(all)-n]
	clear(front)
	return all[len(all)-n:], func() bool {
		return intact() && !slices.ContainsFunc(front, func(b byte) bool { return b != 0 })
	}
}

// Rounding to signed bytes gives the bits of the portable form on every path, between
// fences: of every magnitude, of ties, zeros, values too small and what is not finite.
func TestToInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	const blocks, rows = 9, 3
	x, _ := fencedNoise(t, r, blocks*Q8Block)
	for i := range x {
		x[i] *= float32(math.Ldexp(1, 20*(i/Q8Block)-80))
	}
	for i := range Q8Block {
		x[i] = float32(i-16) + 0.5 // ties, once 127 is there
		x[Q8Block+i] = 0
		x[2*Q8Block+i] = float32(i) * 0x1p-110
	}
	x[5] = 127
	x[3*Q8Block+7], x[4*Q8Block+31], x[5*Q8Block] = nan32, float32(math.Inf(1)), float32(math.Inf(-1))
	qs, ss := rows*Q8Block, rows
	want, wantScales := make([]byte, (blocks-1)*qs+Q8Block), make([]float32, (blocks-1)*ss+1)
	toInt8Portable(want, wantScales, x, qs, ss)
	for i, v := range []int8{-16, -14, -14} {
		if int8(want[i]) != v { // -15.5, -14.5, -13.5 go to the even number
			t.Fatalf("value %d became %d, want %d", i, int8(want[i]), v)
		}
	}
	for _, b := range []int{3, 4, 5} {
		if s := wantScales[b*ss]; s == s {
			t.Errorf("block %d, which is not finite, has scale %g", b, s)
		}
	}
	if wantScales[ss] != 0 || wantScales[2*ss] != 0 {
		t.Errorf("scales of nothing: %g, %g", wantScales[ss], wantScales[2*ss])
	}
	eachPath(t, func(t *testing.T) {
		q, intact := fencedBytes(t, len(want))
		clear(q)
		scales, scalesIntact := fence(t, len(wantScales))
		clear(scales)
		current.vecOps.toInt8(q, scales, x, qs, ss)
		if !slices.Equal(q, want) {
			t.Error("bytes differ from the portable form's")
		}
		for i, v := range scales {
			if v != wantScales[i] && (v == v || wantScales[i] == wantScales[i]) {
				t.Errorf("scale %d is %g, want %g", i, v, wantScales[i])
			}
		}
		if !intact() || !scalesIntact() {
			t.Error("wrote before the result")
		}
	})
}

// extremeBytes fills q with signed bytes of which most are the largest, and a scale of half precision
// that is finite in front of every Q8Block of them where stored is set.
func extremeBytes(r *rand.Rand, q []byte, stored bool) {
	for i := range q {
		q[i] = []byte{byte(r.IntN(255) - 127), 127, 0x81, 0}[r.IntN(4)] // -127 to 127
		if !stored {
			continue
		}
		q[i] = []byte{byte(r.IntN(256)), 127, 0x80, 0x80}[r.IntN(4)]
		if i%Q8Bytes == 1 {
			q[i] &= 0x3b
		}
	}
}

// Turning gives the bytes of the portable form for every number of columns, and of the missing
// ones something that can be read, between fences.
func TestInt8Turn(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 5))
	for cols := 1; cols <= int8Cols; cols++ {
		for _, blocks := range []int{1, 3} {
			stride := (blocks + 1) * Q8Bytes
			from, _ := fencedBytes(t, (cols-1)*stride+blocks*Q8Bytes)
			extremeBytes(r, from, true)
			want, wantScales := make([]byte, blocks*Q8Block*int8Cols), make([]float32, blocks*int8Cols)
			int8TurnPortable(want, wantScales, from, cols, stride)
			if want[32*4+4*(cols-1)+1] != from[(cols-1)*stride+2+17] {
				t.Fatal("value 17 of the last column is not in its place")
			}
			eachPath(t, func(t *testing.T) {
				to, intact := fencedBytes(t, len(want))
				scales, scalesIntact := fence(t, len(wantScales))
				current.int8Turn(to, scales, from, cols, stride)
				for i := range to {
					if i%(4*int8Cols) < 4*cols && to[i] != want[i] {
						t.Fatalf("%d columns, %d blocks: byte %d is %d, want %d", cols, blocks, i, to[i], want[i])
					}
				}
				for i, v := range scales {
					if i%int8Cols < cols && v != wantScales[i] {
						t.Fatalf("%d columns, %d blocks: scale %d is %g, want %g", cols, blocks, i, v, wantScales[i])
					}
				}
				if !intact() || !scalesIntact() {
					t.Error("wrote before the result")
				}
			})
		}
	}
}

// Every kernel gives the bits of the portable form, for every number of rows and columns, with the
// most extreme bytes, between fences.
func TestInt8Mul(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 2))
	for _, blocks := range []int{1, 2, 43} {
		b, _ := fencedBytes(t, blocks*Q8Block*int8Cols)
		bScales, _ := fencedNoise(t, r, blocks*int8Cols)
		extremeBytes(r, b, false)
		for i := range b {
			if b[i] == 0 {
				b[i] = 0x80
			}
		}
		for rows := 1; rows <= int8Rows; rows++ {
			a, _ := fencedBytes(t, blocks*rows*Q8Block)
			extremeBytes(r, a, false)
			scales, _ := fencedNoise(t, r, blocks*rows)
			for form := range 8 {
				cols := []int{int8Cols, 5}[form/4]
				cs := cols + 2
				tile := int8Tile{a: a, scales: scales, b: b, bScales: bScales, blocks: blocks, rows: rows, cols: cols, cs: cs, is: cs}
				if form&1 > 0 {
					tile.init = noise((rows-1)*cs + cols)
				}
				if form&2 > 0 {
					tile.bias = noise(cols)
				}
				want := make([]float32, (rows-1)*cs+cols)
				tile.c = want
				int8MulPortable(&tile)
				eachPath(t, func(t *testing.T) {
					c, intact := fence(t, len(want))
					clear(c)
					tile := tile
					tile.c = c
					tile.by(current.int8Mul)
					if !slices.Equal(c, want) || !intact() {
						t.Fatalf("%d rows of %d blocks, form %d: %v, want %v", rows, blocks, form, c, want)
					}
				})
			}
		}
	}
}

// The kernel of one row gives the bits of the portable form of turned columns, for every number
// of columns and of blocks beyond eights, with the most extreme bytes, between fences.
func TestInt8Row(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 6))
	for _, blocks := range []int{1, 7, 8, 9, 16, 43} {
		for cols := 1; cols <= int8Cols; cols++ {
			stored, _ := fencedBytes(t, cols*blocks*Q8Bytes)
			extremeBytes(r, stored, true)
			a, _ := fencedBytes(t, blocks*Q8Block)
			extremeBytes(r, a, false)
			scales, _ := fencedNoise(t, r, blocks)
			turned, turnedScales := make([]byte, blocks*Q8Block*int8Cols), make([]float32, blocks*int8Cols)
			int8TurnPortable(turned, turnedScales, stored, cols, blocks*Q8Bytes)
			for form := range 4 {
				tile := int8Tile{a: a, scales: scales, b: turned, bScales: turnedScales, stored: stored, blocks: blocks, rows: 1, cols: cols}
				if form&1 > 0 {
					tile.init = noise(cols)
				}
				if form&2 > 0 {
					tile.bias = noise(cols)
				}
				want := make([]float32, cols)
				tile.c = want
				int8MulPortable(&tile)
				eachPath(t, func(t *testing.T) {
					if current.int8Row == nil {
						t.Skip("columns are turned")
					}
					c, intact := fence(t, cols)
					clear(c)
					products, productsIntact := fence(t, int8Cols*ceil(blocks, 8)*8)
					for i := range products {
						products[i] = nan32
					}
					tile := tile
					tile.c, tile.products = c, products
					tile.by(current.int8Row)
					if !slices.Equal(c, want) || !intact() || !productsIntact() {
						t.Fatalf("%d columns of %d blocks, form %d: %v, want %v", cols, blocks, form, c, want)
					}
				})
			}
		}
	}
}

// A whole product is near that of the values, its rows do not depend on each other, nor its
// bits on the number of threads; every path gives the same.
func TestMatMulInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 3))
	for _, size := range [][3]int{{1, 3, 32}, {2, 37, 96}, {9, 70, 1120}, {17, 300, 64}, {40, 90, 576}} {
		m, n, k := size[0], size[1], size[2]
		w, values := stored(r, "q8", n, k)
		a, bias, residual := noise(m*k), noise(n), noise(m*n)
		var bits []float32
		eachPath(t, func(t *testing.T) {
			for _, threads := range []int{1, 3} {
				p := NewPool(threads)
				defer p.Close()
				mul := func(c, a, residual []float32, m int) {
					MatMulWeights(p, Mat(c, m, n), Mat(a, m, k), w, n, k, Product{TransB: true, Int8: true, Bias: bias, Residual: residual})
				}
				c, intact := fence(t, m*n)
				mul(c, a, residual, m)
				if bits == nil {
					bits = slices.Clone(c)
				}
				if !slices.Equal(bits, c) || !intact() {
					t.Fatalf("%v: %d threads give other bits", size, threads)
				}
				if n := allocations(2, func() { mul(c, a, residual, m) }); n > 0 && threads == 1 && !raceDetector {
					t.Fatalf("%v allocations, want 0", n)
				}
				one := make([]float32, n)
				for _, i := range []int{0, m / 2, m - 1} {
					if mul(one, a[i*k:][:k], residual[i*n:][:n], 1); !slices.Equal(one, bits[i*n:][:n]) {
						t.Fatalf("%v: row %d by itself has other bits", size, i)
					}
				}
			}
		})
		for i := range m {
			for j := range n {
				var want, size float64
				for kk := range k {
					x, y := float64(a[i*k+kk]), float64(values[j*k+kk])
					want += x * y
					size += y * y
				}
				want += float64(bias[j]) + float64(residual[i*n+j])
				// A value is off by at most half a step of its block, about 3.5/127; errors are
				// independent of each other.
				if tol := 6 * 0.5 * 3.5 / 127 * math.Sqrt(size/3); !(math.Abs(float64(bits[i*n+j])-want) <= tol) {
					t.Fatalf("%v: C[%d,%d] = %g, want %g within %g", size, i, j, bits[i*n+j], want, tol)
				}
			}
		}
	}
}

// A NaN in a row of A spoils that row, and no other.
func TestMatMulInt8NaN(t *testing.T) {
	w, _ := stored(rand.New(rand.NewPCG(8, 4)), "q8", 5, 64)
	a := noise(2 * 64)
	a[64+40] = nan32
	eachPath(t, func(t *testing.T) {
		p := NewPool(1)
		defer p.Close()
		c := make([]float32, 10)
		MatMulWeights(p, Mat(c, 2, 5), Mat(a, 2, 64), w, 5, 64, Product{TransB: true, Int8: true})
		for i, v := range c {
			if (v != v) != (i >= 5) {
				t.Fatalf("%v", c)
			}
		}
	})
}

// BenchmarkInt8 is a product with weights of Q8 as whole numbers and as float32.
func BenchmarkInt8(b *testing.B) {
	const rows, cols = 4096, 2048
	w, _ := stored(rand.New(rand.NewPCG(1, 1)), "q8", rows, cols)
	p := NewPool(0)
	defer p.Close()
	for _, m := range []int{1, 2, 4, 8, 16, 64, 512} {
		for _, whole := range []bool{false, true} {
			a, c := noise(m*cols), make([]float32, m*rows)
			b.Run(fmt.Sprintf("rows-%d/int8-%t", m, whole), func(b *testing.B) {
				b.SetBytes(int64(w.Bytes(rows * cols)))
				for b.Loop() {
					MatMulWeights(p, Mat(c, m, rows), Mat(a, m, cols), w, rows, cols, Product{TransB: true, Int8: whole})
				}
				b.ReportMetric(2*float64(m)*rows*cols*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
