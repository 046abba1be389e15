package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a small set of persistent workers that share the chunks of one
// operation at a time. The calling goroutine is worker 0. A Pool is used by
// one goroutine at a time; it must be closed to end its workers.
//
// Between operations a worker watches for the next one for a short time before
// it sleeps, so that operations that follow each other start in about a
// microsecond. Who watches in vain watches for less time: where other programs want
// the cores, the one waited for may not be running, and gets the core sooner. Workers that have not noticed an operation by the time its chunks
// are done are not waited for.
type Pool struct {
	threads int
	caller  watcher
	helpers []helper // one for each further worker

	job    job
	chunks int64
	next   atomic.Int64
	busy   atomic.Int32  // helpers that were offered the job and have not left it
	asleep atomic.Bool   // the caller sleeps until busy falls to 0
	done   chan struct{} // wakes it

	lanes []lane    // one for each worker
	pack  []float32 // packed panels that the workers share

	products int // skinny ones in panels so far
}

// job is a kernel's inner part with its arguments bound.
type job interface{ do(worker, chunk int) }

// helper is the state that the caller shares with one further worker.
type helper struct {
	state  atomic.Int32
	asleep atomic.Bool
	wake   chan struct{}
	watcher
	_ [96]byte // keeps neighbours off one cache line
}

const (
	idle    = iota // nothing to do
	offered        // the caller offers a job
	taken          // the worker is at it
	closed
)

// watchTime is what a worker waits awake at most. Longer than the serial pieces between
// the operations of a training step, short beside anything a person notices. leastWatch
// is what it waits at least, after others were given the cores again and again.
const watchTime, soonWatch, leastWatch = 100 * time.Microsecond, 20 * time.Microsecond, 5 * time.Microsecond

// watcher waits awake before its thread sleeps, for spin; 0 is not at all.
type watcher struct {
	spin  time.Duration
	began time.Time // the last wait that was in vain
}

// NewPool starts a pool of n threads; n <= 0 means GOMAXPROCS.
func NewPool(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: n, helpers: make([]helper, n-1), done: make(chan struct{}, 1), lanes: make([]lane, n)}
	if n <= min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) {
		p.caller.spin = watchTime // else watching would keep others from working
	}
	for i := range p.helpers {
		h := &p.helpers[i]
		h.spin = p.caller.spin
		h.wake = make(chan struct{}, 1)
		go p.work(i+1, h)
	}
	return p
}

// Threads is the number of workers, the caller included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the workers and frees the pool's memory. The pool can still be
// used, with one thread.
func (p *Pool) Close() {
	for i := range p.helpers {
		h := &p.helpers[i]
		h.state.Store(closed)
		h.rouse()
	}
	p.helpers = nil
	p.threads = 1
	for i := range p.lanes {
		release(&p.lanes[i].user)
		release(&p.lanes[i].pack)
		release(&p.lanes[i].wide)
		release(&p.lanes[i].sums)
		release(&p.lanes[i].panels)
	}
	release(&p.pack)
}

// rouse wakes the worker if it sleeps.
func (h *helper) rouse() {
	if h.asleep.CompareAndSwap(true, false) {
		h.wake <- struct{}{}
	}
}

func (p *Pool) work(id int, h *helper) {
	for {
		if !h.watch(func() bool { return h.state.Load() != idle }) {
			h.asleep.Store(true)
			if h.state.Load() == idle || !h.asleep.CompareAndSwap(true, false) {
				<-h.wake
			}
			h.woke()
		}
		switch {
		case h.state.CompareAndSwap(offered, taken):
			p.drain(id)
			h.state.Store(idle)
			p.leave()
		case h.state.Load() == closed:
			return
		}
	}
}

// leave tells the caller that one helper fewer is at its job.
func (p *Pool) leave() {
	if p.busy.Add(-1) == 0 && p.asleep.CompareAndSwap(true, false) {
		p.done <- struct{}{}
	}
}

// watch waits, awake, until ready or its time has passed. Waiting in vain halves that
// time, waiting with success makes it an eighth longer.
func (w *watcher) watch(ready func() bool) bool {
	if ready() {
		return true
	}
	if w.spin == 0 {
		return false
	}
	for w.began = time.Now(); time.Since(w.began) < w.spin; {
		for range 32 {
			pause()
			if ready() {
				w.spin = min(w.spin+w.spin/8, watchTime)
				return true
			}
		}
	}
	w.spin = max(w.spin/2, leastWatch)
	return false
}

// woke lets a worker that watched in vain, but not for long, watch for soonWatch at least: it would else sleep in
// every short gap between operations.
func (w *watcher) woke() {
	if w.spin > 0 && time.Since(w.began) < watchTime {
		w.spin = max(w.spin, soonWatch)
	}
}

// drain takes chunks until none is left. Which worker does a chunk varies from
// run to run; what a chunk computes must not depend on it.
func (p *Pool) drain(worker int) {
	l := &p.lanes[worker]
	for l.claimed = 0; ; {
		c := p.claim(l)
		l.claimed = 0
		if c >= p.chunks {
			return
		}
		p.job.do(worker, int(c))
	}
}

// claim is the chunk that a worker does next, or one after the last. A chunk under way may ask for it, and it
// is this worker's then, so that what it reads can be fetched.
func (p *Pool) claim(l *lane) int64 {
	if l.claimed == 0 {
		l.claimed = p.next.Add(1)
	}
	return l.claimed - 1
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
	helpers := p.helpers[:min(n, p.threads)-1]
	p.busy.Store(int32(len(helpers)))
	for i := range helpers {
		helpers[i].state.Store(offered)
		helpers[i].rouse()
	}
	p.drain(0)
	for i := range helpers {
		if helpers[i].state.CompareAndSwap(offered, idle) { // has not even begun
			p.busy.Add(-1)
		}
	}
	for !p.caller.watch(func() bool { return p.busy.Load() == 0 }) {
		p.asleep.Store(true)
		if p.busy.Load() != 0 || !p.asleep.CompareAndSwap(true, false) {
			<-p.done
		}
		p.caller.woke()
	}
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
