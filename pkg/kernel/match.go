package kernel

// MatchError is how far x is from target, relative to target's own size:
// (sum of (x - target)²) / (sum of target²), 0 where target is 0 all over. It also
// returns the denominator. x and target have the same length; diff, of that length,
// is x - target afterwards.
func MatchError(p *Pool, diff, x, target []float32) (ratio, size float64) {
	needs(len(x), target, diff)
	diff = diff[:len(x)]
	matchLoop.run(p, p.pieces(len(x), elementGrain), matchArgs{diff, x, target[:len(x)], 1, p.pieces(len(x), elementGrain)})
	if size = SumSquares(p, target[:len(x)]); size == 0 {
		return 0, 0
	}
	return SumSquares(p, diff) / size, size
}

// MatchGradient is dx = f·(x - target): with f = 2·dloss / (sum of target²) the
// gradient of MatchError's ratio.
func MatchGradient(p *Pool, dx, x, target []float32, f float32) {
	needs(len(dx), x, target)
	n := p.pieces(len(dx), elementGrain)
	matchLoop.run(p, n, matchArgs{dx, x[:len(dx)], target[:len(dx)], f, n})
}

type matchArgs struct {
	y, x, t []float32
	f       float32
	chunks  int
}

var matchLoop = newLoop(func(a *matchArgs, _, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.affine(a.y[lo:hi], a.t[lo:hi], -1, 0)
	current.vecOps.add(a.y[lo:hi], a.y[lo:hi], a.x[lo:hi])
	if a.f != 1 {
		current.vecOps.affine(a.y[lo:hi], a.y[lo:hi], a.f, 0)
	}
})
