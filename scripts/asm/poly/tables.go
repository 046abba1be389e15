package poly

import "math"

// ExpTail is q in exp(r) = 1 + r + r²·q(r) for |r| <= ln2/2.
var ExpTail = fit(4, -math.Ln2/2, math.Ln2/2,
	func(r float64) float64 {
		if math.Abs(r) < 1e-3 {
			return 0.5 + r/6 + r*r/24
		}
		return (math.Expm1(r) - r) / (r * r)
	},
	func(r float64) float64 { return max(r*r, 1e-6) / math.Exp(r) })

const (
	Ln2Hi = 0x1.62e4p-1      // 15 bits: n·Ln2Hi is exact for |n| < 512
	Ln2Lo = math.Ln2 - Ln2Hi // the rest
	// Below ExpLow exp rounds to 0.
	ExpLow = -104.0
	// Masked is a score that no sum notices.
	Masked = -1e30

	GELUA = 0.7978845608028654 // sqrt(2/π)
	GELUB = 0.044715
)

// Power is 2^r for |r| <= 1/2.
var Power = fit(5, -0.5, 0.5, math.Exp2, func(r float64) float64 { return math.Exp2(-r) })

// TailScale is the p of t = 1/(1+p·a), which NormalTail is a polynomial in.
const TailScale = 0.4

// NormalTail is the polynomial in t with exp(-a²/2)·NormalTail(t) = Φ(-a), the
// normal distribution function, for a >= 0.
var NormalTail = fit(8, 1/(1+TailScale*13.0), 1,
	func(t float64) float64 {
		a := (1/t - 1) / TailScale
		return math.Exp(a*a/2) * math.Erfc(a/math.Sqrt2) / 2
	},
	func(t float64) float64 {
		a := (1/t - 1) / TailScale
		return 1 / (math.Exp(a*a/2) * math.Erfc(a/math.Sqrt2) / 2)
	})
