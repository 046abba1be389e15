package infer

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Scheduler runs the requests of many clients through one model at once. Requests
// join and leave between steps; a step takes one new token of every text that is
// being written and shares the rest of its rows among the prompts that are being
// read. Keys and values live in pages of one arena, in the model's pruned widths,
// and a beginning that was read before is not read again.
//
// All methods may be called by many goroutines.
type Scheduler struct {
	o      SchedulerOptions
	engine *engine

	mu      sync.Mutex
	wake    *sync.Cond
	waiting []*sequence
	closed  bool
	stats   Stats

	// Of the goroutine that runs steps only.
	tree     *pageTree
	running  []*sequence
	reserved int // pages that running sequences may still take
	exited   chan struct{}
}

// SchedulerOptions are the sizes of a scheduler.
type SchedulerOptions struct {
	KVBytes  int64 // memory for keys and values; 0 is room for MaxBatch texts of 512 tokens, or one of the whole context if that is more
	MaxBatch int   // texts written at once; default 64
	Chunk    int   // rows of a step at most, prompts included; default 128
	Queue    int   // requests that wait; default 1024
	BF16     bool  // products read a bfloat16 copy of the weights
	Int8     bool  // products with weights of Q8 multiply them as integers, see kernel.Product
}

// Stats count what a scheduler has done.
type Stats struct {
	Running, Waiting int
	Requests         int64 // accepted
	Steps            int64
	PromptTokens     int64 // of accepted requests
	ReusedTokens     int64 // of prompts: found in the arena
	Tokens           int64 // generated
	Pages, FreePages int   // of the arena
	PageBytes        int64
}

func (o SchedulerOptions) resolve() SchedulerOptions {
	if o.MaxBatch == 0 {
		o.MaxBatch = 64
	}
	if o.Chunk == 0 {
		o.Chunk = 128
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	o.Chunk = max(o.Chunk, o.MaxBatch+16) // so that prompts are read however many write
	return o
}

// NewScheduler starts a scheduler. The model, its parameters and the pool of src
// must not be used by anyone else until Close has returned.
func NewScheduler(src Source, o SchedulerOptions) (*Scheduler, error) {
	o = o.resolve()
	e, err := newEngine(src, o)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{o: o, engine: e, tree: newPageTree(e.pages), exited: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	s.stats.Pages, s.stats.FreePages, s.stats.PageBytes = e.pages, e.pages, e.pageBytes
	go s.loop()
	return s, nil
}

// Context is the longest text in tokens: the model's context, or what the arena holds.
func (s *Scheduler) Context() int { return min(s.engine.Model.Context(), s.engine.pages*PageTokens) }

// Bytes is the memory that is mapped beside the model's weights: keys and values, values of
// a step, weights as bfloat16.
func (s *Scheduler) Bytes() (n int64) {
	for _, slab := range s.engine.slabs {
		n += 4 * int64(len(slab.Data))
	}
	return n
}

// Submit queues a request. Its stream ends with ctx's error when ctx ends first.
func (s *Scheduler) Submit(ctx context.Context, r Request) (*Stream, error) {
	if err := r.check(s.engine.vocab, s.Context()); err != nil {
		return nil, err
	}
	q, err := newSequence(ctx, r)
	if err != nil {
		return nil, err
	}
	q.long = s.engine.longAfter > 0 && q.longest() > s.engine.longAfter
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case len(s.waiting) >= s.o.Queue:
		return nil, fmt.Errorf("%w: %d requests are waiting", ErrFull, len(s.waiting))
	}
	s.waiting = append(s.waiting, q)
	s.stats.Requests++
	s.stats.PromptTokens += int64(len(r.Prompt))
	context.AfterFunc(q.stream.ctx, s.rouse)
	s.wake.Signal()
	return q.stream, nil
}

// rouse makes the loop look at its requests again.
func (s *Scheduler) rouse() {
	s.mu.Lock()
	s.wake.Signal()
	s.mu.Unlock()
}

// Stats is a snapshot.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Waiting = len(s.waiting)
	return st
}

// Close ends all requests with ErrClosed, and returns when nothing runs any longer.
// The model and its parameters stay their owner's.
func (s *Scheduler) Close() {
	s.mu.Lock()
	s.closed = true
	s.wake.Signal()
	s.mu.Unlock()
	<-s.exited
}

// loop is the goroutine that runs steps.
func (s *Scheduler) loop() {
	defer close(s.exited)
	defer s.engine.close()
	for {
		s.mu.Lock()
		for !s.closed && len(s.running) == 0 && len(s.waiting) == 0 {
			s.wake.Wait()
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			s.endAll(ErrClosed)
			return
		}
		s.dropCancelled()
		s.admit()
		if len(s.running) > 0 {
			if err := s.step(); err != nil {
				s.endAll(err)
			}
			runtime.Gosched() // the loop never waits while texts are written: who waits for their tokens goes first
		}
		s.count()
	}
}

func (s *Scheduler) count() {
	s.mu.Lock()
	s.stats.Running, s.stats.FreePages = len(s.running), s.tree.available()
	s.mu.Unlock()
}

// endAll ends every request with err.
func (s *Scheduler) endAll(err error) {
	for len(s.running) > 0 {
		s.leave(s.running[0], "", err)
	}
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, q := range waiting {
		q.stream.end("", err)
	}
}

// dropCancelled ends the requests whose context is over.
func (s *Scheduler) dropCancelled() {
	for i := len(s.running) - 1; i >= 0; i-- {
		if q := s.running[i]; q.stream.ctx.Err() != nil {
			s.leave(q, "", context.Cause(q.stream.ctx))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.waiting[:0]
	for _, q := range s.waiting {
		if err := context.Cause(q.stream.ctx); err != nil {
			q.stream.end("", err)
			continue
		}
		kept = append(kept, q)
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}
