package kernel

type prependArgs struct {
	y, x, rows []float32
	k, t, e    int
}

var prependLoop = newLoop(func(a *prependArgs, worker, b int) {
	y := a.y[b*(a.k+a.t)*a.e:]
	copy(y[:a.k*a.e], a.rows)
	copy(y[a.k*a.e:][:a.t*a.e], a.x[b*a.t*a.e:])
})

// Prepend puts K learned rows (class and distillation tokens) before the T rows
// of every sequence. y is [B·(K+T), E], x [B·T, E], rows [K, E].
func Prepend(p *Pool, y, x, rows []float32, B, K, T, E int) {
	need(y, B*(K+T)*E)
	need(x, B*T*E)
	need(rows, K*E)
	prependLoop.run(p, B, prependArgs{y, x, rows, K, T, E})
}

var prependBackLoop = newLoop(func(a *prependArgs, worker, b int) {
	copy(a.x[b*a.t*a.e:][:a.t*a.e], a.y[(b*(a.k+a.t)+a.k)*a.e:])
})

// PrependBackward takes dy [B·(K+T), E] apart: dx [B·T, E] is overwritten.
func PrependBackward(p *Pool, dx, dy []float32, B, K, T, E int) {
	need(dy, B*(K+T)*E)
	need(dx, B*T*E)
	prependBackLoop.run(p, B, prependArgs{y: dy, x: dx, k: K, t: T, e: E})
}

// PrependGrad accumulates drows[k] += sum over the sequences of their row k of
// dy. drows is [K, E].
func PrependGrad(p *Pool, drows, dy []float32, B, K, T, E int) {
	need(dy, B*(K+T)*E)
	need(drows, K*E)
	for b := range B {
		addRow(drows[:K*E], drows[:K*E], dy[b*(K+T)*E:])
	}
}
