package kernel

// elementGrain is how many elements make a chunk of an elementwise operation
// worth waking a worker for.
const elementGrain = 8192

type addArgs struct {
	y, a, b []float32
	m       float32
	chunks  int
}

var addLoop = newLoop(func(a *addArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.add(a.y[lo:hi], a.a[lo:hi], a.b[lo:hi])
})

// Add computes y = a + b over len(y) elements; y may be a or b. It is its own
// backward pass: both gradients are dy.
func Add(p *Pool, y, a, b []float32) {
	needs(len(y), a, b)
	n := p.pieces(len(y), elementGrain)
	addLoop.run(p, n, addArgs{y: y, a: a, b: b, chunks: n})
}

var addScaledLoop = newLoop(func(a *addArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.addScaled(a.y[lo:hi], a.a[lo:hi], a.b[lo:hi], a.m)
})

// AddScaled computes y = a + m·b over len(y) elements; y may be a or b. The
// gradient of a is dy, that of b is Scale by m.
func AddScaled(p *Pool, y, a, b []float32, m float32) {
	needs(len(y), a, b)
	n := p.pieces(len(y), elementGrain)
	addScaledLoop.run(p, n, addArgs{y, a, b, m, n})
}
