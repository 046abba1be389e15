package kernel

import "sync"

const (
	sumBlock  = 1 << 14 // elements of a partial sum
	sumBlocks = 1 << 10 // partial sums at most; their blocks grow beyond
)

type sumArgs struct {
	x       []float32
	block   int
	partial *[sumBlocks]float64
}

var sumFree = sync.Pool{New: func() any { return new([sumBlocks]float64) }}

var sumLoop = newLoop(func(a *sumArgs, worker, chunk int) {
	lo := chunk * a.block
	a.partial[chunk] = current.vecOps.square(a.x[lo:min(lo+a.block, len(a.x))])
})

// SumSquares is the sum of x², in float64 and in an order that depends on
// len(x) alone. An infinite or NaN element makes the result so.
func SumSquares(p *Pool, x []float32) float64 {
	block := sumBlock
	for len(x) > block*sumBlocks {
		block *= 2
	}
	n := (len(x) + block - 1) / block
	partial := sumFree.Get().(*[sumBlocks]float64)
	sumLoop.run(p, n, sumArgs{x, block, partial})
	var sum float64
	for _, v := range partial[:n] {
		sum += v
	}
	sumFree.Put(partial)
	return sum
}
