package kernel

// SelectRow takes one row of every sequence, a class token's or the last one:
// y[b] = x[b·T + at]. y is [B, E], x [B·T, E].
func SelectRow(p *Pool, y, x []float32, B, T, E, at int) {
	checkSelect(y, x, B, T, E, at)
	for b := range B {
		copy(y[b*E:][:E], x[(b*T+at)*E:][:E])
	}
}

// SelectRowBackward puts dy [B, E] back where it came from: dx [B·T, E] is
// overwritten, with 0 in all other rows.
func SelectRowBackward(p *Pool, dx, dy []float32, B, T, E, at int) {
	checkSelect(dy, dx, B, T, E, at)
	c := p.pieces(B*T, elementGrain/max(1, E))
	selectBackLoop.run(p, c, selectArgs{dx, dy, B * T, T, E, at, c})
}

func checkSelect(some, all []float32, B, T, E, at int) {
	if at < 0 || at >= T {
		panic(badShape)
	}
	need(some, B*E)
	need(all, B*T*E)
}

type selectArgs struct {
	dx, dy         []float32
	rows, t, e, at int
	chunks         int
}

var selectBackLoop = newLoop(func(a *selectArgs, worker, chunk int) {
	lo, hi := span(a.rows, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		dst := a.dx[n*a.e:][:a.e]
		if n%a.t == a.at {
			copy(dst, a.dy[n/a.t*a.e:])
		} else {
			clear(dst)
		}
	}
})
