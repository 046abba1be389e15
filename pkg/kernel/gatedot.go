package kernel

type gateArgs struct {
	p                     *Pool
	r, dx                 []float32
	x                     Rows
	b, t, stride, col0, u int
	width, chunks         int
}

var gateLoop = newLoop(func(a *gateArgs, worker, chunk int) {
	b := chunk / a.chunks
	lo, hi := span(a.u, a.chunks, chunk%a.chunks)
	r := a.r[b*a.u+lo : b*a.u+hi]
	clear(r)
	acc := r // a sum for each column
	if a.width > 1 {
		acc = a.p.Scratch(worker, len(r)*a.width)
		clear(acc)
	}
	n := len(r) * a.width
	wide := a.p.buffer(worker, n)
	for t := range a.t {
		at := (b*a.t+t)*a.stride + a.col0 + lo*a.width
		current.vecOps.mulAdd(acc, a.x.read(wide, at, n), a.dx[at:][:n])
	}
	if a.width > 1 {
		for u := range r {
			for _, v := range acc[u*a.width:][:a.width] {
				r[u] += v
			}
		}
	}
})

// GateDot is the gradient of a gate on each unit, for each sequence:
//
//	r[b,u] = sum over t and w of x[b,t,c]·dx[b,t,c],  c = col0 + u·width + w
//
// x and dx are [B·T, stride]; r [B, U] is overwritten. width is the number of
// adjacent columns of a unit: 1, or 2 for a rotation pair.
func GateDot(p *Pool, r []float32, x Rows, dx []float32, B, T, stride, col0, U, width int) {
	if col0 < 0 || col0+U*width > stride {
		panic(badShape)
	}
	need(r, B*U)
	x.need(B * T * stride)
	need(dx, B*T*stride)
	c := p.columns(U * width)
	gateLoop.run(p, B*c, gateArgs{p, r, dx, x, B, T, stride, col0, U, width, c})
}
