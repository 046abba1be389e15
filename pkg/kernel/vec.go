package kernel

import "math"

//go:generate sh ../../scripts/asm/vec/generate.sh

// vecOps are the inner loops that work along rows, one set for each CPU path. The
// slices of a call have the length of the first, except where said. All are
// elementwise, or sum in an order that depends on the length alone.
//
// Largest errors of the vector forms, tested: exp 1.5 units in the last place,
// x·sigmoid(x) 4, x·Φ(x) 7.
type vecOps struct {
	add       func(y, a, b []float32)              // y = a + b
	addScaled func(y, a, b []float32, m float32)   // y = a + m·b
	mulAdd    func(y, a, b []float32)              // y += a·b
	affine    func(y, x []float32, m, c float32)   // y = x·m + c
	sum       func(x []float32) float32            // sum of x
	dot       func(x, y []float32) float32         // sum of x·y
	square    func(x []float32) float64            // sum of x²
	spread    func(x []float32, m float32) float32 // sum of (x - m)²

	// Norms: h = (x - mean)·rstd. RMSNorm has mean 0.
	normalize func(y, x, gain []float32, mean, rstd float32)                    // y = h·gain
	normSums  func(dy, x, gain []float32, mean, rstd float32) (sg, sgh float32) // sums of g = dy·gain and of g·h
	normBack  func(dx, dy, x, gain []float32, mean, rstd, ag, agh float32)      // dx = rstd·(dy·gain - ag - h·agh)
	normGrad  func(dgain, dy, x []float32, mean, rstd float32)                  // dgain += dy·h

	geluTanh      func(y, x []float32)
	geluTanhBack  func(dx, dy, x []float32)
	geluErf       func(y, x []float32)
	geluErfBack   func(dx, dy, x []float32)
	swiglu        func(h, gate, up []float32)
	swigluBack    func(dgate, dup, dh, gate, up []float32)
	gegluTanh     func(h, gate, up []float32)
	gegluTanhBack func(dgate, dup, dh, gate, up []float32)
	gegluErf      func(h, gate, up []float32)
	gegluErfBack  func(dgate, dup, dh, gate, up []float32)

	rotate     func(y, x, cos, sin []float32) // cos and sin are half as long
	rotateBack func(y, x, cos, sin []float32)

	maximum     func(x []float32) float32                                                     // the largest, -Inf if x is empty
	expSum      func(y, x []float32, top float32) float32                                     // y = exp(x - top), and its sum
	softmax     func(score, o, state []float32, width, stride, vo int)                        // see softmaxRows
	softmaxBack func(prob, ds, lse, delta []float32, width, stride int, slope, scale float32) // see softmaxBackRows

	softCap     func(y, x []float32, slope, c float32)        // y = c·tanh(slope·x)
	softCapBack func(dx, dy, y []float32, delta, inv float32) // dx = (dy - delta)·(1 - (y·inv)²)

	adamw   func(w, g, m, v []float32, c *[9]float32)            // see adamwRow
	adamw16 func(w, g, mv []float32, c *[9]float32, seed uint32) // see adamw16Row

	transpose8 func(dst, src []float32, blocks, ds, ss int)     // dst[c·ds+r] = src[r·ss+c], r < 8, c < 8·blocks
	dots       func(s, q, keys []float32, stride int)           // s[j] = q·keys[j·stride:], len(q) values
	weigh      func(o, p, values []float32, stride int)         // o += sum of p[i]·values[i·stride:], len(o) values a row
	gather     func(dst, src []float32, rows, cols, ds, ss int) // dst[r·ds+c] = src[r·ss+c], r < rows, c < cols
	// gatherRoomy is gather that may write up to 15 values behind each row before it writes the next.
	gatherRoomy func(dst, src []float32, rows, cols, ds, ss int)
	block       blockForm

	round    func(x []float32)                 // rounds to bfloat16 in place
	toBF16   func(dst []uint16, src []float32) // rounds whole vectors of any path, bf16Block values, to bfloat16
	fromBF16 func(dst []float32, src []uint16) // and widens them

	fromQ8 func(dst []float32, src []byte, rows, blocks, ds, ss int) // widens rows of whole blocks, see fromQ8Portable
	toInt8 func(q []byte, scales, x []float32, qs, ss int)           // see toInt8Portable
}

var portableVecOps = vecOps{
	add: addRow, addScaled: addScaledRow, mulAdd: mulAddRow, affine: affineRow, sum: sumRow, dot: dotRow, square: squareRow, spread: spreadRow,
	normalize: normalizeRow, normSums: normSumsRow, normBack: normBackRow, normGrad: normGradRow,
	geluTanh: geluTanhRow, geluTanhBack: geluTanhBackRow, geluErf: geluErfRow, geluErfBack: geluErfBackRow,
	swiglu: swigluRow, swigluBack: swigluBackRow, gegluTanh: gegluTanhRow, gegluTanhBack: gegluTanhBackRow,
	gegluErf: gegluErfRow, gegluErfBack: gegluErfBackRow, softCap: softCapRow, softCapBack: softCapBackRow,
	rotate: rotateRow, rotateBack: rotateBackRow,
	maximum: maximumRow, expSum: expSumRow, softmax: softmaxRows, softmaxBack: softmaxBackRows, adamw: adamwRow, adamw16: adamw16Row,
	transpose8: transpose8Portable, dots: dotsPortable, weigh: weighPortable, gather: gatherPortable, gatherRoomy: gatherPortable,
	block: blockForm{run: blockPortable, rows: 16, lanes: 16, strips: 1, part: 32, whole: 1},
	round: roundPortable, toBF16: toBF16Portable, fromBF16: fromBF16Portable, fromQ8: fromQ8Portable, toInt8: toInt8Portable,
}

func addRow(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

func addScaledRow(y, a, b []float32, m float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + m*b[i]
	}
}

func mulAddRow(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] += a[i] * b[i]
	}
}

func affineRow(y, x []float32, m, c float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = v*m + c
	}
}

func sumRow(x []float32) float32 {
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	return float32(s)
}

func dotRow(x, y []float32) float32 {
	var s float64
	for i, v := range x {
		s += float64(v) * float64(y[i])
	}
	return float32(s)
}

func squareRow(x []float32) (s float64) {
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func spreadRow(x []float32, m float32) float32 {
	var s float64
	for _, v := range x {
		d := float64(v - m)
		s += d * d
	}
	return float32(s)
}

func maximumRow(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

func expSumRow(y, x []float32, top float32) float32 {
	var sum float32
	for i, v := range x {
		e := float32(math.Exp(float64(v - top)))
		y[i] = e
		sum += e
	}
	return sum
}

func weighPortable(o, p, values []float32, stride int) {
	for i, w := range p {
		addScaledRow(o, o, values[i*stride:], w)
	}
}
