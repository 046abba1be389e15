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
	k          adamwConst
	chunks     int
}

// adamwConst is AdamWArgs as the inner loop wants it.
type adamwConst struct {
	scale, b1, c1, b2, c2 float32 // c = 1-b
	rate                  float32 // LR / (1-beta1^step)
	root                  float32 // 1 / sqrt(1-beta2^step)
	eps, keep             float32 // keep = 1 - LR·WeightDecay
	clear                 bool
}

var adamwLoop = newLoop(func(a *adamwArgs, worker, chunk int) {
	lo, hi := span(len(a.w), a.chunks, chunk)
	adamwRow(a.w[lo:hi], a.g[lo:hi], a.m[lo:hi], a.v[lo:hi], &a.k)
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
	k := adamwConst{
		scale: a.GradScale,
		b1:    a.Beta1, c1: float32(1 - b1), b2: a.Beta2, c2: float32(1 - b2),
		rate: float32(float64(a.LR) / (1 - math.Pow(b1, t))),
		root: float32(1 / math.Sqrt(1-math.Pow(b2, t))),
		eps:  a.Eps, keep: float32(1 - float64(a.LR)*float64(a.WeightDecay)),
		clear: a.ClearGrad,
	}
	c := p.pieces(len(w), elementGrain)
	adamwLoop.run(p, c, adamwArgs{w, g, m, v, k, c})
}

func adamwRow(w, g, m, v []float32, k *adamwConst) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		d := g[i] * k.scale
		m[i] = k.b1*m[i] + k.c1*d
		v[i] = k.b2*v[i] + k.c2*d*d
		root := float32(math.Sqrt(float64(v[i])))*k.root + k.eps
		w[i] = w[i]*k.keep - k.rate*m[i]/root
	}
	if k.clear {
		clear(g)
	}
}
