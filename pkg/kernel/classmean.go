package kernel

type classMeanArgs struct {
	y, x    []float32
	b, t, e int
	chunks  int
}

var classMeanLoop = newLoop(func(a *classMeanArgs, worker, chunk int) {
	lo, hi := span(a.b, a.chunks, chunk)
	for b := lo; b < hi; b++ {
		y, x := a.y[b*2*a.e:][:2*a.e], a.x[b*a.t*a.e:][:a.t*a.e]
		copy(y, x[:a.e])
		mean := y[a.e:]
		clear(mean)
		for t := 1; t < a.t; t++ {
			current.vecOps.add(mean, mean, x[t*a.e:][:a.e])
		}
		current.vecOps.affine(mean, mean, 1/float32(a.t-1), 0)
	}
})

// ClassMean puts the first row of every sequence beside the mean of its others, a class
// token beside the patches of an image: y is [B, 2E], x [B·T, E], T at least 2.
func ClassMean(p *Pool, y, x []float32, B, T, E int) {
	checkClassMean(y, x, B, T, E)
	c := p.pieces(B, elementGrain/max(1, T*E))
	classMeanLoop.run(p, c, classMeanArgs{y, x, B, T, E, c})
}

// ClassMeanBackward is the gradient: dx [B·T, E] is overwritten with what dy [B, 2E] gives it.
func ClassMeanBackward(p *Pool, dx, dy []float32, B, T, E int) {
	checkClassMean(dy, dx, B, T, E)
	c := p.pieces(B*T, elementGrain/max(1, E))
	classMeanBackLoop.run(p, c, classMeanArgs{dx, dy, B, T, E, c})
}

var classMeanBackLoop = newLoop(func(a *classMeanArgs, worker, chunk int) {
	lo, hi := span(a.b*a.t, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		dx, dy := a.y[n*a.e:][:a.e], a.x[n/a.t*2*a.e:][:2*a.e]
		if n%a.t == 0 {
			copy(dx, dy)
		} else {
			current.vecOps.affine(dx, dy[a.e:], 1/float32(a.t-1), 0)
		}
	}
})

func checkClassMean(rows, all []float32, B, T, E int) {
	if T < 2 {
		panic(badShape)
	}
	need(rows, B*2*E)
	need(all, B*T*E)
}
