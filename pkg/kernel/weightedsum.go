package kernel

type weightedSumArgs struct {
	y, a, b []float32
	fa, fb  float32
	chunks  int
}

var weightedSumLoop = newLoop(func(s *weightedSumArgs, worker, chunk int) {
	lo, hi := span(len(s.y), s.chunks, chunk)
	y, a, b := s.y[lo:hi], s.a[lo:hi], s.b[lo:hi]
	for i := range y {
		y[i] = s.fa*a[i] + s.fb*b[i]
	}
})

// WeightedSum computes y = fa·a + fb·b over len(y) elements; y may be a or b.
func WeightedSum(p *Pool, y, a []float32, fa float32, b []float32, fb float32) {
	needs(len(y), a, b)
	n := p.pieces(len(y), elementGrain)
	weightedSumLoop.run(p, n, weightedSumArgs{y, a, b, fa, fb, n})
}
