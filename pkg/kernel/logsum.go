package kernel

import "math"

// LogSumExp is the logarithm of sum(exp(x·m)) over a row of at least one logit, m > 0; of
// logits that are all minus infinity it is that.
func LogSumExp(x []float32, m float32) float64 {
	v := current.vecOps
	top := v.maximum(x)
	if math.IsInf(float64(top), -1) {
		return float64(top)
	}
	var part [logitBlock]float32
	var sum float64
	for lo := 0; lo < len(x); lo += logitBlock {
		p := part[:min(logitBlock, len(x)-lo)]
		for i, l := range x[lo:][:len(p)] {
			p[i] = max((l-top)*m, -200) // e⁻²⁰⁰ is 0 in float32; of minus infinity the kernel would make NaN
		}
		sum += float64(v.expSum(p, p, 0))
	}
	return float64(top)*float64(m) + math.Log(sum)
}
