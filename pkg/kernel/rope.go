package kernel

import "math"

// RoPETable fills cos and sin, each [T, len(freqs)], with the cosine and sine of
// t·freqs[j]. freqs are angles in radians a token: one list [P] for all heads, or
// [G·P] where every K/V head kept its own pairs.
// Source: Su et al., https://arxiv.org/abs/2104.09864.
func RoPETable(cos, sin, freqs []float32, T int) {
	needs(T*len(freqs), cos, sin)
	for t := range T {
		for j, f := range freqs {
			s, c := math.Sincos(float64(t) * float64(f))
			cos[t*len(freqs)+j], sin[t*len(freqs)+j] = float32(c), float32(s)
		}
	}
}

type ropeArgs struct {
	y, x, cos, sin []float32
	pos            []int32 // nil, or each sequence's first position
	s              AttnShape
	perHead        bool
	pos0           int
	back           bool
	chunks         int
}

var ropeLoop = newLoop(func(a *ropeArgs, worker, chunk int) {
	s := &a.s
	w, pairs := s.Width(), s.QK/2
	tw := pairs // width of a table row
	if a.perHead {
		tw *= s.G
	}
	turn := current.verbs.rotate
	if a.back {
		turn = current.verbs.rotateBack
	}
	lo, hi := span(s.B*s.T, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		y, x := a.y[n*w:][:w], a.x[n*w:][:w]
		t := a.pos0 + n%s.T
		if a.pos != nil {
			t += int(a.pos[n/s.T])
		}
		for g := range s.G {
			at := t * tw
			if a.perHead {
				at += g * pairs
			}
			cos, sin := a.cos[at:][:pairs], a.sin[at:][:pairs]
			for r := range s.R {
				q := s.qCol(g, r)
				turn(y[q:][:s.QK], x[q:][:s.QK], cos, sin)
			}
			k := s.kCol(g)
			turn(y[k:][:s.QK], x[k:][:s.QK], cos, sin)
		}
		if v := s.vCol(0); &y[0] != &x[0] {
			copy(y[v:], x[v:])
		}
	}
})

// RoPEForward rotates the q and k parts of each row of x (see AttnShape) by its
// position and copies the v part: for the adjacent columns (2j, 2j+1) of a head,
//
//	y0 = x0·cos - x1·sin,  y1 = x1·cos + x0·sin
//
// at table row pos0 + t. The rows of cos and sin are [QK/2], or with perHead
// [G·QK/2]; they must reach position pos0+T-1. y may be x.
func RoPEForward(p *Pool, y, x, cos, sin []float32, s AttnShape, perHead bool, pos0 int) {
	rope(p, ropeArgs{y: y, x: x, cos: cos, sin: sin, s: s, perHead: perHead, pos0: pos0})
}

// RoPEBackward is the inverse rotation, which is the gradient's: dx may be dy.
func RoPEBackward(p *Pool, dx, dy, cos, sin []float32, s AttnShape, perHead bool, pos0 int) {
	rope(p, ropeArgs{y: dx, x: dy, cos: cos, sin: sin, s: s, perHead: perHead, pos0: pos0, back: true})
}

// RoPEAt is RoPEForward where sequence b starts at position pos[b], for decoding.
func RoPEAt(p *Pool, y, x, cos, sin []float32, s AttnShape, perHead bool, pos []int32) {
	if len(pos) < s.B {
		panic(badLength)
	}
	rope(p, ropeArgs{y: y, x: x, cos: cos, sin: sin, pos: pos, s: s, perHead: perHead})
}

func rope(p *Pool, a ropeArgs) {
	s := &a.s
	s.check()
	if s.QK%2 != 0 || a.pos0 < 0 {
		panic(badShape)
	}
	needs(s.B*s.T*s.Width(), a.y, a.x)
	tw := s.QK / 2
	if a.perHead {
		tw *= s.G
	}
	last := a.pos0
	if a.pos != nil {
		for _, first := range a.pos[:s.B] {
			if first < 0 {
				panic(badShape)
			}
			last = max(last, int(first))
		}
	}
	needs((last+s.T)*tw, a.cos, a.sin)
	a.chunks = p.pieces(s.B*s.T, elementGrain/s.Width())
	ropeLoop.run(p, a.chunks, a)
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
