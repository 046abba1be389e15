package kernel

import "math"

// RoPETable fills cos and sin, each [T, len(freqs)], with the cosine and sine of
// t·freqs[j], both times gain (1, or the attention factor of a stretched rotation) where the
// frequency is not 0: what stands still stays as it is.
// freqs are angles in radians a token: one list for all heads, or one after the
// other the lists of every K/V head, where each kept its own pairs.
// Source: Su et al., https://arxiv.org/abs/2104.09864.
func RoPETable(cos, sin, freqs []float32, T int, gain float32) {
	needs(T*len(freqs), cos, sin)
	for t := range T {
		for j, f := range freqs {
			s, c := math.Sincos(float64(t) * float64(f))
			if f != 0 {
				c, s = c*float64(gain), s*float64(gain)
			}
			cos[t*len(freqs)+j], sin[t*len(freqs)+j] = float32(c), float32(s)
		}
	}
}

// Rotary is the tables of a rotation: a row of Cos and Sin, [positions, Pairs] or
// with PerHead [positions, G·Pairs], holds the angles of the pairs of one position.
// The pairs of a head are its first 2·Pairs columns, two by two; the other columns
// stay as they are.
type Rotary struct {
	Cos, Sin []float32
	Pairs    int
	PerHead  bool // every K/V head has its own angles
}

// width is that of a row of the tables.
func (r *Rotary) width(s *AttnShape) int {
	if r.PerHead {
		return s.G * r.Pairs
	}
	return r.Pairs
}

type ropeArgs struct {
	y, x       []float32
	rot        Rotary
	s          AttnShape
	first, pos []int32 // nil, or the first position of each sequence, the position of each row
	back       bool
	chunks     int
}

// at is the position of row n.
func (a *ropeArgs) at(n int) int {
	switch {
	case a.pos != nil:
		return int(a.pos[n])
	case a.first != nil:
		return int(a.first[n/a.s.T]) + n%a.s.T
	}
	return n % a.s.T
}

var ropeLoop = newLoop(func(a *ropeArgs, worker, chunk int) {
	s, pairs := &a.s, a.rot.Pairs
	w, tw := s.Width(), a.rot.width(s)
	turn := current.vecOps.rotate
	if a.back {
		turn = current.vecOps.rotateBack
	}
	lo, hi := span(s.B*s.T, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		y, x := a.y[n*w:][:w], a.x[n*w:][:w]
		from := s.vCol(0)
		if 2*pairs < s.QK {
			from = 0
		}
		if &y[0] != &x[0] {
			copy(y[from:], x[from:])
		}
		for h := range s.G*s.R + s.G { // query heads, then key heads
			g := h / s.R
			if h >= s.G*s.R {
				g = h - s.G*s.R
			}
			at := a.at(n) * tw
			if a.rot.PerHead {
				at += g * pairs
			}
			turn(y[h*s.QK:][:2*pairs], x[h*s.QK:][:2*pairs], a.rot.Cos[at:][:pairs], a.rot.Sin[at:][:pairs])
		}
	}
})

// RoPEForward rotates the q and k parts of each row of x (see AttnShape) by its
// position and copies the v part: for the columns (2j, 2j+1) of a head, j < Pairs,
//
//	y0 = x0·cos - x1·sin,  y1 = x1·cos + x0·sin
//
// pos [B·T] has the position of each row, which the tables must reach; nil is
// 0, 1, ... in each sequence. y may be x.
func RoPEForward(p *Pool, y, x []float32, rot Rotary, s AttnShape, pos []int32) {
	rope(p, ropeArgs{y: y, x: x, rot: rot, s: s, pos: pos})
}

// RoPEBackward is the gradient, the rotation by the opposite angles: dx may be dy.
func RoPEBackward(p *Pool, dx, dy []float32, rot Rotary, s AttnShape, pos []int32) {
	rope(p, ropeArgs{y: dx, x: dy, rot: rot, s: s, pos: pos, back: true})
}

// RoPEAt is RoPEForward where sequence b starts at position first[b], for decoding.
func RoPEAt(p *Pool, y, x []float32, rot Rotary, s AttnShape, first []int32) {
	need(first, s.B)
	rope(p, ropeArgs{y: y, x: x, rot: rot, s: s, first: first})
}

func rope(p *Pool, a ropeArgs) {
	s := &a.s
	s.check()
	if a.rot.Pairs < 0 || 2*a.rot.Pairs > s.QK {
		panic(badShape)
	}
	needs(s.B*s.T*s.Width(), a.y, a.x)
	a.rot.reach(s, a.furthest())
	a.chunks = p.pieces(s.B*s.T, elementGrain/s.Width())
	ropeLoop.run(p, a.chunks, a)
}

// reach panics unless the tables have n positions.
func (r *Rotary) reach(s *AttnShape, n int) { needs(n*r.width(s), r.Cos, r.Sin) }

// furthest is one more than the last position.
func (a *ropeArgs) furthest() int {
	s, given, last := &a.s, a.first, a.s.T-1
	switch {
	case a.pos != nil:
		need(a.pos, s.B*s.T)
		given, last = a.pos[:s.B*s.T], 0
	case a.first != nil:
		given = a.first[:s.B]
	}
	most := int32(0)
	for _, at := range given {
		if at < 0 {
			panic(badShape)
		}
		most = max(most, at)
	}
	return int(most) + last + 1
}

func rotateRow(y, x, cos, sin []float32) {
	for j, c := range cos {
		x0, x1, s := x[2*j], x[2*j+1], sin[j]
		y[2*j], y[2*j+1] = x0*c-x1*s, x1*c+x0*s
	}
}

func rotateBackRow(y, x, cos, sin []float32) {
	for j, c := range cos {
		x0, x1, s := x[2*j], x[2*j+1], sin[j]
		y[2*j], y[2*j+1] = x0*c+x1*s, x1*c-x0*s
	}
}
