package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// The assembly reads a block by these offsets: see scripts/asm/vec/block.go.
func TestBlockLayout(t *testing.T) {
	var b block
	for i, got := range []uintptr{
		unsafe.Offsetof(b.a), unsafe.Offsetof(b.b), unsafe.Offsetof(b.c), unsafe.Offsetof(b.as), unsafe.Offsetof(b.ak), unsafe.Offsetof(b.bs),
		unsafe.Offsetof(b.cs), unsafe.Offsetof(b.k), unsafe.Offsetof(b.rows), unsafe.Offsetof(b.cols), unsafe.Offsetof(b.add),
	} {
		if want := []uintptr{0, 24, 48, 72, 80, 88, 96, 104, 112, 120, 128}[i]; got != want {
			t.Errorf("field %d of block lies at %d, want %d", i, got, want)
		}
	}
}

// fencedNoise is n normal values before an unreadable page.
func fencedNoise(t *testing.T, r *rand.Rand, n int) ([]float32, func() bool) {
	s, intact := fence(t, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s, intact
}

func TestMulBlock(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for range 250 {
			rows, k, cols := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(75)
			trans, add := r.IntN(2) == 0, r.IntN(2) == 0
			as, ak, na := k+r.IntN(5), 1, 0
			if trans {
				as, ak = 1, rows+r.IntN(5)
			}
			na = (rows-1)*as + (k-1)*ak + 1
			bs, cs := cols+r.IntN(5), cols+r.IntN(5)
			a, _ := fencedNoise(t, r, na)
			b, _ := fencedNoise(t, r, (k-1)*bs+cols)
			c, intact := fencedNoise(t, r, (rows-1)*cs+cols)
			was := slices.Clone(c)
			mulBlock(&block{}, c, cs, a, as, ak, b, bs, rows, k, cols, add)
			if !intact() {
				t.Fatal("wrote before C")
			}
			for i := range c {
				row, col := i/cs, i%cs
				if col >= cols {
					if c[i] != was[i] {
						t.Fatalf("%d x %d x %d: wrote between the rows of C", rows, k, cols)
					}
					continue
				}
				var want, mag float64
				if add {
					want, mag = float64(was[i]), math.Abs(float64(was[i]))
				}
				for kk := range k {
					v := float64(a[row*as+kk*ak]) * float64(b[kk*bs+col])
					want += v
					mag += math.Abs(v)
				}
				if tol := float64(k+4) * 0x1p-24 * mag; !(math.Abs(float64(c[i])-want) <= tol) {
					t.Fatalf("%d x %d x %d trans %v add %v: C[%d,%d] = %g, want %g within %g", rows, k, cols, trans, add, row, col, c[i], want, tol)
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 2))
		for range 150 {
			rows, cols := r.IntN(40), r.IntN(40)
			ds, ss := rows+r.IntN(4), cols+r.IntN(4)
			src, _ := fencedNoise(t, r, max(0, (rows-1)*ss+cols))
			dst, intact := fencedNoise(t, r, max(0, (cols-1)*ds+rows))
			was := slices.Clone(dst)
			transposeInto(dst, ds, src, ss, rows, cols)
			for i := range dst {
				want := was[i]
				if i%ds < rows && rows > 0 {
					want = src[i%ds*ss+i/ds]
				}
				if dst[i] != want {
					t.Fatalf("%d x %d: dst[%d] = %g, want %g", rows, cols, i, dst[i], want)
				}
			}
			if !intact() {
				t.Fatal("wrote before dst")
			}
		}
	})
}

func TestGather(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 150 {
			rows, cols := r.IntN(9), r.IntN(150)
			ss, ds := cols+r.IntN(20), max(1, cols+r.IntN(20))
			src, _ := fencedNoise(t, r, max(0, (rows-1)*ss+cols))
			dst, intact := fencedNoise(t, r, max(0, (rows-1)*ds+cols))
			was := slices.Clone(dst)
			current.vecOps.gather(dst, src, rows, cols, ds, ss)
			for i := range dst {
				want := was[i]
				if i%ds < cols {
					want = src[i/ds*ss+i%ds]
				}
				if dst[i] != want {
					t.Fatalf("%d x %d: dst[%d] = %g, want %g", rows, cols, i, dst[i], want)
				}
			}
			if !intact() {
				t.Fatal("wrote before dst")
			}
		}
	})
}

// Rows that may be written behind: the values are gather's, and what is written lies
// within 15 values behind a row.
func TestGatherRoomy(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 6))
		for range 150 {
			rows, cols := r.IntN(20), 1+r.IntN(150)
			ss, ds := cols+r.IntN(20), cols+r.IntN(40)
			src, _ := fencedNoise(t, r, max(0, (rows-1)*ss+cols))
			dst, intact := fencedNoise(t, r, max(0, (rows-1)*ds+cols)+15)
			was := slices.Clone(dst)
			current.vecOps.gatherRoomy(dst, src, rows, cols, ds, ss)
			free := make([]bool, len(dst)) // may be written
			for i := range rows * (cols + 15) {
				free[i/(cols+15)*ds+i%(cols+15)] = true
			}
			for i := range dst {
				switch row, col := i/ds, i%ds; {
				case row < rows && col < cols:
					if dst[i] != src[row*ss+col] {
						t.Fatalf("%d x %d: dst[%d] = %g, want %g", rows, cols, i, dst[i], src[row*ss+col])
					}
				case !free[i] && dst[i] != was[i]:
					t.Fatalf("%d x %d: wrote to %d, more than 15 behind a row", rows, cols, i)
				}
			}
			if !intact() {
				t.Fatal("wrote before dst")
			}
		}
	})
}

// Room behind the rows changes no bit of the product, and nothing is written behind whole vectors.
func TestMulRoomy(t *testing.T) {
	if attnStride != spaced(attnKeys) {
		t.Errorf("rows of %d keys are %d apart, expected %d", attnKeys, attnStride, spaced(attnKeys))
	}
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 7))
		for range 200 {
			rows, k, cols, add := 1+r.IntN(30), 1+r.IntN(70), 1+r.IntN(75), r.IntN(2) == 0
			bs, cs := roomy(cols), roomy(cols)+r.IntN(3)
			a, _ := fencedNoise(t, r, rows*k)
			b, _ := fencedNoise(t, r, k*bs)
			c, intact := fencedNoise(t, r, (rows-1)*cs+roomy(cols))
			was, want := slices.Clone(c), slices.Clone(c)
			mulBlock(&block{}, want, cs, a, k, 1, b, bs, rows, k, cols, add)
			mulRoomy(&block{}, c, cs, a, k, 1, b, bs, rows, k, cols, add)
			for i := range c {
				if col := i % cs; col < cols && c[i] != want[i] || col >= roomy(cols) && c[i] != was[i] {
					t.Fatalf("%d x %d x %d add %v: C[%d,%d] = %g, want %g, before %g", rows, k, cols, add, i/cs, col, c[i], want[i], was[i])
				}
			}
			if !intact() {
				t.Fatal("wrote before C")
			}
		}
	})
}

func TestDots(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for range 150 {
			n, d := r.IntN(20), 1+r.IntN(70)
			q, _ := fencedNoise(t, r, d)
			stride := d + r.IntN(3)*r.IntN(20)
			keys, _ := fencedNoise(t, r, max(0, (n-1)*stride+d))
			s, intact := fencedNoise(t, r, n)
			current.vecOps.dots(s, q, keys, stride)
			for j, got := range s {
				var want, mag float64
				for i, v := range q {
					x := float64(v) * float64(keys[j*stride+i])
					want += x
					mag += math.Abs(x)
				}
				if !(math.Abs(float64(got)-want) <= float64(d+4)*0x1p-24*mag) {
					t.Fatalf("%d keys of %d: s[%d] = %g, want %g", n, d, j, got, want)
				}
			}
			if !intact() {
				t.Fatal("wrote before s")
			}
		}
	})
}

func TestWeigh(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 5))
		for i := range 200 {
			n, d := r.IntN(20), 1+i%160
			p, _ := fencedNoise(t, r, n)
			stride := d + r.IntN(3)*r.IntN(20)
			values, _ := fencedNoise(t, r, max(0, (n-1)*stride+d))
			o, intact := fencedNoise(t, r, d)
			was := slices.Clone(o)
			current.vecOps.weigh(o, p, values, stride)
			for j, got := range o {
				want, mag := float64(was[j]), math.Abs(float64(was[j]))
				for i, w := range p {
					x := float64(w) * float64(values[i*stride+j])
					want += x
					mag += math.Abs(x)
				}
				if !(math.Abs(float64(got)-want) <= float64(n+2)*0x1p-24*mag) {
					t.Fatalf("%d rows of %d: o[%d] = %g, want %g", n, d, j, got, want)
				}
			}
			if !intact() {
				t.Fatal("wrote before o")
			}
		}
	})
}

// Every row operation against its portable form, at every length to 70 and at odd
// addresses, in fenced buffers.
func TestVecOps(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	type call struct {
		name string
		outs int
		run  func(v *vecOps, s [][]float32) float64
	}
	calls := []call{
		{"add", 1, func(v *vecOps, s [][]float32) float64 { v.add(s[0], s[1], s[2]); return 0 }},
		{"addScaled", 1, func(v *vecOps, s [][]float32) float64 { v.addScaled(s[0], s[1], s[2], -0.75); return 0 }},
		{"softCap", 1, func(v *vecOps, s [][]float32) float64 { v.softCap(s[0], s[1], 0.5, 2); return 0 }},
		{"softCapBack", 1, func(v *vecOps, s [][]float32) float64 { v.softCapBack(s[0], s[1], s[2], 0.3, 0.2); return 0 }},
		{"gegluTanh", 1, func(v *vecOps, s [][]float32) float64 { v.gegluTanh(s[0], s[1], s[2]); return 0 }},
		{"gegluTanhBack", 2, func(v *vecOps, s [][]float32) float64 { v.gegluTanhBack(s[0], s[1], s[2], s[3], s[4]); return 0 }},
		{"gegluErf", 1, func(v *vecOps, s [][]float32) float64 { v.gegluErf(s[0], s[1], s[2]); return 0 }},
		{"gegluErfBack", 2, func(v *vecOps, s [][]float32) float64 { v.gegluErfBack(s[0], s[1], s[2], s[3], s[4]); return 0 }},
		{"mulAdd", 1, func(v *vecOps, s [][]float32) float64 { v.mulAdd(s[0], s[1], s[2]); return 0 }},
		{"affine", 1, func(v *vecOps, s [][]float32) float64 { v.affine(s[0], s[1], 1.5, -0.25); return 0 }},
		{"sum", 0, func(v *vecOps, s [][]float32) float64 { return float64(v.sum(s[1])) }},
		{"dot", 0, func(v *vecOps, s [][]float32) float64 { return float64(v.dot(s[1], s[2])) }},
		{"square", 0, func(v *vecOps, s [][]float32) float64 { return v.square(s[1]) }},
		{"spread", 0, func(v *vecOps, s [][]float32) float64 { return float64(v.spread(s[1], 0.3)) }},
		{"normalize", 1, func(v *vecOps, s [][]float32) float64 { v.normalize(s[0], s[1], s[2], 0.1, 0.9); return 0 }},
		{"normSums", 0, func(v *vecOps, s [][]float32) float64 {
			a, b := v.normSums(s[1], s[2], s[3], 0.1, 0.9)
			return float64(a) + 3*float64(b)
		}},
		{"normBack", 1, func(v *vecOps, s [][]float32) float64 {
			v.normBack(s[0], s[1], s[2], s[3], 0.1, 0.9, 0.2, 0.3)
			return 0
		}},
		{"normGrad", 1, func(v *vecOps, s [][]float32) float64 { v.normGrad(s[0], s[1], s[2], 0.1, 0.9); return 0 }},
		{"geluTanh", 1, func(v *vecOps, s [][]float32) float64 { v.geluTanh(s[0], s[1]); return 0 }},
		{"geluTanhBack", 1, func(v *vecOps, s [][]float32) float64 { v.geluTanhBack(s[0], s[1], s[2]); return 0 }},
		{"geluErf", 1, func(v *vecOps, s [][]float32) float64 { v.geluErf(s[0], s[1]); return 0 }},
		{"geluErfBack", 1, func(v *vecOps, s [][]float32) float64 { v.geluErfBack(s[0], s[1], s[2]); return 0 }},
		{"swiglu", 1, func(v *vecOps, s [][]float32) float64 { v.swiglu(s[0], s[1], s[2]); return 0 }},
		{"swigluBack", 2, func(v *vecOps, s [][]float32) float64 { v.swigluBack(s[0], s[1], s[2], s[3], s[4]); return 0 }},
		{"maximum", 0, func(v *vecOps, s [][]float32) float64 { return float64(v.maximum(s[1])) }},
		{"expSum", 1, func(v *vecOps, s [][]float32) float64 { return float64(v.expSum(s[0], s[1], 2)) }},
		{"adamw", 4, func(v *vecOps, s [][]float32) float64 {
			for i, x := range s[3] {
				s[3][i] = x * x
			}
			v.adamw(s[0], s[1], s[2], s[3], &[9]float32{0.5, 0.9, 0.1, 0.95, 0.05, 0.01, 1.2, 1e-8, 0.999})
			return 0
		}},
		{"adamw16", 3, func(v *vecOps, s [][]float32) float64 {
			for i, x := range s[2] {
				s[2][i] = math.Float32frombits(math.Float32bits(x)&0xffff0000 | 0x3f00)
			}
			v.adamw16(s[0], s[1], s[2], &[9]float32{0.5, 0.9, 0.1, 0.95, 0.05, 0.01, 1.2, 1e-8, 0.999}, 5)
			clear(s[2]) // rounding has a last bit of difference grow to one of bfloat16
			return 0
		}},
	}
	for n := range 71 {
		var s [5][]float32
		var intact [5]func() bool
		for i := range s {
			s[i], intact[i] = fencedNoise(t, r, n)
		}
		kept := clones(s[:])
		for _, c := range calls {
			if n == 0 && c.name == "maximum" {
				continue
			}
			want := clones(kept)
			sum := c.run(&portableVecOps, want)
			eachPath(t, func(t *testing.T) {
				for i := range s {
					copy(s[i], kept[i])
				}
				got := c.run(current.vecOps, s[:])
				if !(math.Abs(got-sum) <= 1e-5*max(1, math.Abs(sum))) {
					t.Fatalf("%s of %d values = %g, want %g", c.name, n, got, sum)
				}
				for i := range s {
					for j, v := range s[i] {
						if w := want[i][j]; !(math.Abs(float64(v)-float64(w)) <= 1e-5*max(1, math.Abs(float64(w)))) {
							t.Fatalf("%s of %d values: slice %d[%d] = %g, want %g", c.name, n, i, j, v, w)
						}
					}
					if !intact[i]() {
						t.Fatalf("%s of %d values wrote before slice %d", c.name, n, i)
					}
				}
			})
		}
	}
}
