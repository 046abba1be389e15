package kernel

import "math"

// AdamWArgs are the constants of one AdamW step. None has a default.
type AdamWArgs struct {
	LR           float32 // learning rate of this step
	Beta1, Beta2 float32 // decay of the two moments
	Eps          float32 // added to the square root of the second moment
	WeightDecay  float32 // decoupled: w shrinks by LR·WeightDecay
	GradScale    float32 // multiplies the gradient first: clipping, averaging
	Step         int     // counted from 1, for the bias correction
	ClearGrad    bool    // leave g zeroed, ready to accumulate the next step
}

type adamwArgs struct {
	w, g, m, v []float32 // v is nil when m holds both moments
	c          [9]float32
	seed       uint32
	clear      bool
	chunks     int
}

var adamwLoop = newLoop(func(a *adamwArgs, worker, chunk int) {
	lo, hi := span(len(a.w), a.chunks, chunk)
	// A block's gradient is cleared while it is in the cache.
	const block = 4096
	for ; lo < hi; lo += block {
		end := min(lo+block, hi)
		if a.v != nil {
			current.vecOps.adamw(a.w[lo:end], a.g[lo:end], a.m[lo:end], a.v[lo:end], &a.c)
		} else {
			current.vecOps.adamw16(a.w[lo:end], a.g[lo:end], a.m[lo:end], &a.c, a.seed+uint32(lo))
		}
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
	c := p.pieces(len(w), elementGrain)
	adamwLoop.run(p, c, adamwArgs{w, g, m, v, a.constants(), 0, a.ClearGrad, c})
}

// AdamW16Step is AdamWStep with both moments as bfloat16 in one word of mv, m in
// the upper half and v in the lower: half the memory and three quarters of the
// traffic. The sums are made in float32 and rounded up or down at random, with
// the odds of their distance: rounding to the nearest would leave v where it is
// when Beta2 is close to 1. What is drawn depends on a.Step and on the element's
// place, at + its index in w, alone.
func AdamW16Step(p *Pool, w, g, mv []float32, at int, a AdamWArgs) {
	needs(len(w), g, mv)
	c := p.pieces(len(w), elementGrain)
	seed := uint32(at) + uint32(a.Step)*0x9e3779b9
	adamwLoop.run(p, c, adamwArgs{w, g, mv, nil, a.constants(), seed, a.ClearGrad, c})
}

func (a *AdamWArgs) constants() [9]float32 {
	b1, b2, t := float64(a.Beta1), float64(a.Beta2), float64(a.Step)
	return [9]float32{
		a.GradScale,
		a.Beta1, float32(1 - b1), a.Beta2, float32(1 - b2),
		float32(float64(a.LR) / (1 - math.Pow(b1, t))),
		float32(1 / math.Sqrt(1-math.Pow(b2, t))),
		a.Eps, float32(1 - float64(a.LR)*float64(a.WeightDecay)),
	}
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

// adamw16Row is adamwRow with both moments in one word. Element i draws from
// seed + i.
func adamw16Row(w, g, mv []float32, k *[9]float32, seed uint32) {
	scale, b1, c1, b2, c2, rate, root, eps, keep := k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8]
	g, mv = g[:len(w)], mv[:len(w)]
	for i := range w {
		both, d := math.Float32bits(mv[i]), g[i]*scale
		m := b1*math.Float32frombits(both&0xffff0000) + c1*d
		v := b2*math.Float32frombits(both<<16) + c2*d*d
		r := draw(seed + uint32(i))
		mv[i] = math.Float32frombits((math.Float32bits(m)+r&0xffff)&0xffff0000 | (math.Float32bits(v)+r>>16)>>16)
		w[i] = w[i]*keep - rate*m/(float32(math.Sqrt(float64(v)))*root+eps)
	}
}

// draw is 32 bits that look random.
func draw(x uint32) uint32 {
	x *= 0x9e3779b1
	x ^= x >> 15
	x *= 0x85ebca77
	return x ^ x>>13
}
