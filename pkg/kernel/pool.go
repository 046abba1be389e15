package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a small set of persistent workers that share the chunks of one
// operation at a time. The calling goroutine is worker 0. A Pool is used by
// one goroutine at a time; it must be closed to end its workers.
type Pool struct {
	threads int
	wake    []chan struct{} // one for each further worker
	done    sync.WaitGroup

	job    job
	chunks int64
	next   atomic.Int64

	lanes        []lane // one for each worker
	packA, packB []float32
}

// job is a kernel's inner part with its arguments bound.
type job interface{ do(worker, chunk int) }

// NewPool starts a pool of n threads; n <= 0 means GOMAXPROCS.
func NewPool(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: n, wake: make([]chan struct{}, n-1), lanes: make([]lane, n)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		go p.work(i+1, p.wake[i])
	}
	return p
}

// Threads is the number of workers, the caller included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the workers.
func (p *Pool) Close() {
	for _, w := range p.wake {
		close(w)
	}
	p.wake = nil
	p.threads = 1
}

func (p *Pool) work(id int, wake <-chan struct{}) {
	for range wake {
		p.drain(id)
		p.done.Done()
	}
}

// drain takes chunks until none is left. Which worker does a chunk varies from
// run to run; what a chunk computes must not depend on it.
func (p *Pool) drain(worker int) {
	for {
		c := p.next.Add(1) - 1
		if c >= p.chunks {
			return
		}
		p.job.do(worker, int(c))
	}
}

// run does chunks 0..n-1 of j on all workers and returns when all are done.
func (p *Pool) run(n int, j job) {
	if n <= 0 {
		return
	}
	if n == 1 || p.threads == 1 {
		for c := 0; c < n; c++ {
			j.do(0, c)
		}
		return
	}
	p.job, p.chunks = j, int64(n)
	p.next.Store(0)
	helpers := min(n, p.threads) - 1
	p.done.Add(helpers)
	for _, w := range p.wake[:helpers] {
		w <- struct{}{}
	}
	p.drain(0)
	p.done.Wait()
	p.job = nil
}

// loop is a kernel's inner part: body does chunk number chunk of the work that
// A describes. Binding arguments through a loop, instead of a closure, keeps
// the steady state free of heap allocation.
//
//	var addLoop = newLoop(func(a *addArgs, worker, chunk int) { ... })
//	addLoop.run(p, chunks, addArgs{dst, x, y})
type loop[A any] struct {
	body func(a *A, worker, chunk int)
	free sync.Pool
}

type bound[A any] struct {
	loop *loop[A]
	args A
}

func (b *bound[A]) do(worker, chunk int) { b.loop.body(&b.args, worker, chunk) }

func newLoop[A any](body func(a *A, worker, chunk int)) *loop[A] {
	l := &loop[A]{body: body}
	l.free.New = func() any { return &bound[A]{loop: l} }
	return l
}

// run does chunks 0..n-1 with the arguments a on the pool's workers.
func (l *loop[A]) run(p *Pool, n int, a A) {
	b := l.free.Get().(*bound[A])
	b.args = a
	p.run(n, b)
	var zero A
	b.args = zero
	l.free.Put(b)
}

// span is the half-open range of chunk c when n items are cut in chunks pieces.
func span(n, chunks, c int) (lo, hi int) { return n * c / chunks, n * (c + 1) / chunks }

// pieces is how many chunks n items deserve: a few for each worker, so that a
// slow one does not hold the rest up, but none smaller than grain items.
func (p *Pool) pieces(n, grain int) int {
	return max(1, min(4*p.threads, n/max(1, grain)))
}
