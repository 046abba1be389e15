package kernel

import "math"

// AdamWArgs are the constants of one AdamW step. None has a default.
type AdamWArgs struct {
	LR           float32 // learning rate of this step
	Beta1, Beta2 float32 // decay of the two moments
	Eps          float32 // added to the root of the second moment
	WeightDecay  float32 // decoupled: w shrinks by LR·WeightDecay
	GradScale    float32 // multiplies the gradient first: clipping, averaging
	Step         int     // counted from 1, for the bias correction
	ClearGrad    bool    // leave g zeroed, ready to accumulate the next step
}

type adamwArgs struct {
	w, g, m, v []float32
	c          [9]float32
	clear      bool
	chunks     int
}

var adamwLoop = newLoop(func(a *adamwArgs, worker, chunk int) {
	lo, hi := span(len(a.w), a.chunks, chunk)
	// A block's gradient is cleared while it is in the cache.
	const block = 4096
	for ; lo < hi; lo += block {
		end := min(lo+block, hi)
		current.verbs.adamw(a.w[lo:end], a.g[lo:end], a.m[lo:end], a.v[lo:end], &a.c)
		if a.clear {
			clear(a.g[lo:end])
		}
	}
})

// AdamWStep updates the weights w and the moments m and v from the gradient g in
// one pass over len(w) elements:
//
//	g' = GradScale·g
//	m  = Beta1·m + (1-Beta1)·g'
//	v  = Beta2·v + (1-Beta2)·g'²
//	w  = w·(1 - LR·WeightDecay) - LR·m̂/(sqrt(v̂) + Eps)
//
// with m̂ = m/(1-Beta1^Step) and v̂ = v/(1-Beta2^Step).
// Source: Loshchilov, Hutter, https://arxiv.org/abs/1711.05101.
func AdamWStep(p *Pool, w, g, m, v []float32, a AdamWArgs) {
	needs(len(w), g, m, v)
	b1, b2, t := float64(a.Beta1), float64(a.Beta2), float64(a.Step)
	k := [9]float32{
		a.GradScale,
		a.Beta1, float32(1 - b1), a.Beta2, float32(1 - b2),
		float32(float64(a.LR) / (1 - math.Pow(b1, t))),
		float32(1 / math.Sqrt(1-math.Pow(b2, t))),
		a.Eps, float32(1 - float64(a.LR)*float64(a.WeightDecay)),
	}
	c := p.pieces(len(w), elementGrain)
	adamwLoop.run(p, c, adamwArgs{w, g, m, v, k, a.ClearGrad, c})
}

// adamwRow is one step with the constants that AdamWStep has prepared.
func adamwRow(w, g, m, v []float32, k *[9]float32) {
	scale, b1, c1, b2, c2, rate, root, eps, keep := k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8]
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		d := g[i] * scale
		m[i] = b1*m[i] + c1*d
		v[i] = b2*v[i] + c2*d*d
		w[i] = w[i]*keep - rate*m[i]/(float32(math.Sqrt(float64(v[i])))*root+eps)
	}
}
