package kernel

import "math"

// Assembly written by scripts/asm/vec; see the comments there and in vec.go.

//go:noescape
func block512(t *block)

//go:noescape
func block256(t *block)

var vecOps512 = vecOps{
	add: add512, addScaled: addScaled512, mulAdd: mulAdd512, affine: affine512,
	sum: sum512, dot: dot512, square: sumSquares512,
	spread: deviation512, normalize: normalize512, normSums: normSums512,
	normBack: normBack512, normGrad: normGrad512, geluTanh: geluTanh512,
	geluTanhBack: geluTanhBack512, geluErf: geluErf512, geluErfBack: geluErfBack512,
	swiglu: swiglu512, swigluBack: swigluBack512, gegluTanh: gegluTanh512, gegluTanhBack: gegluTanhBack512,
	gegluErf: gegluErf512, gegluErfBack: gegluErfBack512, softCap: softCap512, softCapBack: softCapBack512, rotate: rotate512,
	rotateBack: rotateBack512, maximum: maximum512, expSum: expSum512,
	softmax: softmaxRows512, softmaxBack: softmaxBack512, adamw: adamw512, adamw16: adamw16512,
	transpose8: transpose8512, dots: dots512, weigh: weigh512, gather: gather512, gatherRoomy: gather512, round: round512, toBF16: toBF16512, fromBF16: fromBF16512, fromQ8: fromQ8256, toInt8: toInt8256,
	block: blockForm{run: block512, rows: 14, lanes: 16, strips: 1, part: 32, whole: 1},
}

var vecOps256 = vecOps{
	add: add256, addScaled: addScaled256, mulAdd: mulAdd256, affine: affine256,
	sum: sum256, dot: dot256, square: sumSquares256,
	spread: deviation256, normalize: normalize256, normSums: normSums256,
	normBack: normBack256, normGrad: normGrad256, geluTanh: geluTanh256,
	geluTanhBack: geluTanhBack256, geluErf: geluErf256, geluErfBack: geluErfBack256,
	swiglu: swiglu256, swigluBack: swigluBack256, gegluTanh: gegluTanh256, gegluTanhBack: gegluTanhBack256,
	gegluErf: gegluErf256, gegluErfBack: gegluErfBack256, softCap: softCap256, softCapBack: softCapBack256, rotate: rotate256,
	rotateBack: rotateBack256, maximum: maximum256, expSum: expSum256,
	softmax: softmaxRows256, softmaxBack: softmaxBack256, adamw: adamw256, adamw16: adamw16256,
	transpose8: transpose8256, dots: dots256, weigh: weigh256, gather: gather256, gatherRoomy: gatherRoomy256, round: round256, toBF16: toBF16256, fromBF16: fromBF16256, fromQ8: fromQ8256, toInt8: toInt8256,
	block: blockForm{run: block256, rows: 6, lanes: 8, strips: math.MaxInt, part: 8, whole: 8},
}
