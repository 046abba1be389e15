package kernel

import "math"

// VectorShape is B texts of T tokens of E columns that become one vector each: the mean
// of their tokens, or with First the first token.
type VectorShape struct {
	B, T, E int
	First   bool
}

// VectorLoss is how far the direction of each text's vector is from a target:
//
//	nll[b] = |u - v[b]|²/2,  u = p/|p|,  p = the text's vector
//
// which for a v of length 1 is 1 - cos(p, v). x is [B·T, E], v [B, E], nll [B]. starts,
// nil or [B·T], is T or more for padding, which no mean counts. grad [B, E] is the
// gradient of nll by each token that counts. A text of padding, or whose vector is 0, has
// u = 0 and no gradient.
func VectorLoss(p *Pool, nll, grad, x, v []float32, starts []int32, s VectorShape) {
	s.check(starts, nil)
	need(x, s.B*s.T*s.E)
	needs(s.B*s.E, grad, v)
	need(nll, s.B)
	vectorLoop.run(p, s.B, vectorArgs{nll: nll, grad: grad, x: x, v: v, starts: starts, s: s})
}

// VectorLossBackward is dx [B·T, E]: f times grad of the token's text, and 0 for what does
// not count and for texts whose target is negative.
func VectorLossBackward(p *Pool, dx, grad []float32, starts, targets []int32, f float32, s VectorShape) {
	s.check(starts, targets)
	need(dx, s.B*s.T*s.E)
	need(grad, s.B*s.E)
	vectorBackLoop.run(p, s.B, vectorArgs{x: dx, grad: grad, starts: starts, targets: targets, f: f, s: s})
}

func (s VectorShape) check(starts, targets []int32) {
	if s.B < 1 || s.T < 1 || s.E < 1 {
		panic(badShape)
	}
	if starts != nil {
		need(starts, s.B*s.T)
	}
	if targets != nil {
		need(targets, s.B)
	}
}

type vectorArgs struct {
	nll, grad, x, v []float32
	starts, targets []int32
	f               float32
	s               VectorShape
}

// counts reports whether token t of text b is part of its vector.
func (a *vectorArgs) counts(b, t int) bool {
	return (!a.s.First || t == 0) && (a.starts == nil || int(a.starts[b*a.s.T+t]) < a.s.T)
}

var vectorLoop = newLoop(func(a *vectorArgs, _, b int) {
	T, E := a.s.T, a.s.E
	grad, v := a.grad[b*E:][:E], a.v[b*E:][:E]
	clear(grad)
	n := float32(0)
	for t := range T {
		if a.counts(b, t) {
			n++
			current.vecOps.add(grad, grad, a.x[(b*T+t)*E:][:E])
		}
	}
	square := 0.0
	for c := range grad {
		square += float64(grad[c]) * float64(grad[c])
	}
	length := math.Sqrt(square)
	inverse := 0.0
	if length > 0 {
		inverse = 1 / length
	}
	far, along := 0.0, 0.0
	for c, p := range grad {
		u := float64(p) * inverse
		d := u - float64(v[c])
		far, along = far+d*d, along+u*float64(v[c])
	}
	a.nll[b] = float32(far / 2)
	for c, p := range grad { // (u·(u·v) - v) / |p|, where p is the sum of n tokens
		grad[c] = float32((float64(p)*inverse*along - float64(v[c])) * inverse)
	}
})

var vectorBackLoop = newLoop(func(a *vectorArgs, _, b int) {
	T, E := a.s.T, a.s.E
	for t := range T {
		dst := a.x[(b*T+t)*E:][:E]
		if !a.counts(b, t) || a.targets != nil && a.targets[b] < 0 {
			clear(dst)
			continue
		}
		current.vecOps.affine(dst, a.grad[b*E:][:E], a.f, 0)
	}
})
