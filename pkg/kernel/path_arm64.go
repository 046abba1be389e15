package kernel

import "golang.org/x/sys/cpu"

func nativePaths() []*path {
	q := &path{
		name: "neon", mr: tileHigh, nr: tileWide, kc: 256, cache: 128 << 10,
		tile: tileNEON, pack: packPortable,
		skinnyDot: skinnyDot128, skinnyDotMixed: skinnyDotMixed128, skinnyDotCols: []int{4, 4, 4, 4},
		skinnyRows: skinnyRowsNEON, skinnyRowsMixed: skinnyRowsMixedNEON, skinnyStrip: []int{32, 32, 24, 24}, skinnyVector: 4,
		skinnyMost: 8, skinnyMostMixed: 8, skinnyMostDot: 16, skinnyBlock: 64, skinnyPiece: 24 << 10, skinnyBlockDot: 12, skinnySliceDot: 512,
		wideDot: [2]int{12, 512}, int8Turn: int8Turn128, int8Mul: int8Mul128, rowsQ8: rowsQ8128,
		peak: peak128, peakOps: 24 * 4 * 2,
		vecOps: &vecOps128,
	}
	if cpu.ARM64.HasASIMDDP {
		q.int8Mul = int8Dot128
	}
	return []*path{q}
}

// The rows and columns of the register tile.
const tileHigh, tileWide = 12, 8

// tileNEON is the 12 x 8 register tile. One with fewer columns is made whole, in memory of
// its own.
func tileNEON(t *tile) {
	if t.cols == tileWide {
		tile128(t)
		return
	}
	var sums [tileHigh * tileWide]float32
	whole := tile{a: t.a, b: t.b, c: sums[:], k: t.k, cs: tileWide, rows: t.rows, cols: tileWide}
	tile128(&whole)
	for i := range t.rows {
		for j := range t.cols {
			t.set(i, j, sums[i*tileWide+j])
		}
	}
}

// The kernels by rows take whole strips or four columns; fewer are left to Go.

func skinnyRowsNEON(t *tile) {
	if t.cols < 4 {
		skinnyRowsPortable(t)
		return
	}
	skinnyRows128(t)
}

func skinnyRowsMixedNEON(t *tile) {
	if t.cols < 4 {
		skinnyRowsPortable(t)
		return
	}
	skinnyRowsMixed128(t)
}

// blockNEON is block128 for any number of columns up to 4, and 8.
func blockNEON(t *block) {
	n := t.cols
	if n >= 4 {
		block128(t)
		return
	}
	t.cols = 1
	for i := range n {
		if i > 0 {
			t.b, t.c = t.b[1:], t.c[1:]
		}
		block128(t)
	}
	t.cols = n
}

// weighNEON is weigh a row at a time.
func weighNEON(o, p, values []float32, stride int) {
	for i, w := range p {
		addScaled128(o, o, values[i*stride:][:len(o)], w)
	}
}

// pause tells the processor that the thread waits for another one.
func pause() { pause128() }

var vecOps128 = vecOps{
	add: add128, addScaled: addScaled128, mulAdd: mulAdd128, affine: affine128,
	sum: sum128, dot: dot128, square: sumSquares128,
	spread: deviation128, normalize: normalize128, normSums: normSums128,
	normBack: normBack128, normGrad: normGrad128, geluTanh: geluTanh128,
	geluTanhBack: geluTanhBack128, geluErf: geluErf128, geluErfBack: geluErfBack128,
	swiglu: swiglu128, swigluBack: swigluBack128, gegluTanh: gegluTanh128, gegluTanhBack: gegluTanhBack128,
	gegluErf: gegluErf128, gegluErfBack: gegluErfBack128, softCap: softCap128, softCapBack: softCapBack128, rotate: rotate128,
	rotateBack: rotateBack128, maximum: maximum128, expSum: expSum128,
	softmax: softmaxRows128, softmaxBack: softmaxBack128, adamw: adamw128, adamw16: adamw16128,
	transpose8: transpose8128, dots: dots128, weigh: weighNEON, gather: gather128, gatherRoomy: gather128, round: round128, toBF16: toBF16128, fromBF16: fromBF16128,
	fromQ8: fromQ8128, toInt8: toInt8128,
	block: blockForm{run: blockNEON, rows: 12, lanes: 4, strips: 1, part: 4, whole: 1},
}
