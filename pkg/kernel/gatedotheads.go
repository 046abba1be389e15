package kernel

type gateHeadsArgs struct {
	p      *Pool
	r, dx  []float32
	x      Rows
	s      AttnShape
	width  int
	shared bool
}

// lists is the lists of units: one for all heads, or one for each K/V head.
func (a *gateHeadsArgs) lists() int {
	if a.shared {
		return 1
	}
	return a.s.G
}

var gateHeadsLoop = newLoop(func(a *gateHeadsArgs, worker, chunk int) {
	s, lists := &a.s, a.lists()
	b, l := chunk/lists, chunk%lists
	u := s.QK / a.width
	r := a.r[chunk*u : (chunk+1)*u]
	acc := a.p.Scratch(worker, s.QK) // a sum for each column
	clear(acc)
	buf := a.p.buffer(worker, s.QK)
	each := s.G / lists // K/V heads of a list
	add := func(row, head int) {
		at := row*s.Width() + head*s.QK
		current.vecOps.mulAdd(acc, a.x.read(buf, at, s.QK), a.dx[at:][:s.QK])
	}
	for t := range s.T {
		row := b*s.T + t
		for h := l * each * s.R; h < (l+1)*each*s.R; h++ {
			add(row, h)
		}
		for g := l * each; g < (l+1)*each; g++ {
			add(row, s.G*s.R+g)
		}
	}
	clear(r)
	for i := range r {
		for _, v := range acc[i*a.width:][:a.width] {
			r[i] += v
		}
	}
})

// GateDotHeads is the gradient of one gate on each unit of queries and keys alike, for
// each sequence:
//
//	r[b,l,u] = sum over t, the query and key heads of list l and w of x·dx at column u·width + w of the head
//
// x and dx are rows of q, k, v (see AttnShape); r [B, lists, QK/width] is overwritten. A
// list is a K/V head with its query heads or, with shared, all heads.
func GateDotHeads(p *Pool, r []float32, x Rows, dx []float32, s AttnShape, width int, shared bool) {
	if width < 1 || s.QK%width != 0 {
		panic(badShape)
	}
	a := gateHeadsArgs{p, r, dx, x, s, width, shared}
	need(r, s.B*a.lists()*s.QK/width)
	x.need(s.B * s.T * s.Width())
	need(dx, s.B*s.T*s.Width())
	gateHeadsLoop.run(p, s.B*a.lists(), a)
}
