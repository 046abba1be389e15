package kernel

import (
	"math"
	"sync/atomic"
	"time"
)

// PeakFLOPS measures the arithmetic limit of the machine on the pool's threads:
// how many float32 operations a second independent fused multiply-and-adds on
// registers reach, two operations each. It uses the fastest path of the
// machine, whichever is in use, and takes about the given time, in seconds.
func PeakFLOPS(p *Pool, seconds float64) float64 {
	q := paths[len(paths)-1]
	return peakRate(p, seconds, q.peak, q.peakOps)
}

// PeakBF16 is PeakFLOPS for dot products of bfloat16; 0 on a machine without
// them.
func PeakBF16(p *Pool, seconds float64) float64 {
	q := paths[len(paths)-1]
	if !q.bf16 {
		return 0
	}
	return peakRate(p, seconds, q.peakBF16, 2*q.peakOps)
}

type peakArgs struct {
	f func(n int)
	n int
}

var peakLoop = newLoop(func(a *peakArgs, worker, chunk int) { a.f(a.n) })

// peakRate runs f, n rounds of ops operations each, on all workers.
func peakRate(p *Pool, seconds float64, f func(n int), ops int) float64 {
	const n = 1 << 14 // rounds of a chunk, some tens of microseconds
	chunks, start := 0, time.Now()
	for chunks == 0 || time.Since(start).Seconds() < seconds {
		peakLoop.run(p, 16*p.threads, peakArgs{f, n})
		chunks += 16 * p.threads
	}
	return float64(chunks) * n * float64(ops) / time.Since(start).Seconds()
}

// peakPortable does n times 8 multiply-and-adds.
func peakPortable(n int) { peakSink.Store(math.Float32bits(peakSums(n))) }

// peakSink keeps the portable loop's result, so that the loop is not for nothing.
var peakSink atomic.Uint32

//go:noinline
func peakSums(n int) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	x, y := float32(0.5), float32(n)
	for range n {
		s0 += x * y
		s1 += x * y
		s2 += x * y
		s3 += x * y
		s4 += x * y
		s5 += x * y
		s6 += x * y
		s7 += x * y
		x += y
	}
	return s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7
}

type readArgs struct{ x []float32 }

var readLoop = newLoop(func(a *readArgs, worker, chunk int) { current.vecOps.sum(a.x[chunk*readChunk:][:readChunk]) })

const (
	readBytes = 256 << 20 // many times any cache
	readChunk = 1 << 18   // values of a chunk
)

// ReadBandwidth measures how many bytes a second the pool's threads read from
// memory: the best of a few passes over 256 MiB.
func ReadBandwidth(p *Pool) float64 {
	var x []float32
	grow(&x, readBytes/4)
	x = x[:readBytes/4]
	defer release(&x)
	for i := 0; i < len(x); i += 1024 {
		x[i] = 1 // a page that was never written may be nowhere
	}
	best := 0.0
	for range 5 {
		start := time.Now()
		readLoop.run(p, len(x)/readChunk, readArgs{x})
		best = max(best, readBytes/time.Since(start).Seconds())
	}
	return best
}
