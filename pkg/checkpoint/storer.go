package checkpoint

import (
	"runtime"
	"sync"

	"github.com/ecospa/ecospa/pkg/param"
)

// storer stores blocks of parameters as a type when all tensors that fill them are read, so
// that only few blocks are float32 at a time.
type storer struct {
	set   *param.Set
	dtype param.DType
	mu    sync.Mutex
	left  map[string]int // tensors that each block waits for
}

func newStorer(set *param.Set, t param.DType) *storer {
	return &storer{set: set, dtype: t, left: map[string]int{}}
}

// expect counts a tensor that will be read.
func (s *storer) expect(p *placed) {
	for b := range p.blocks() {
		s.left[b]++
	}
}

// done stores the blocks for which this was the last tensor.
func (s *storer) done(p *placed) error {
	if s.dtype == param.F32 {
		return nil
	}
	for name := range p.blocks() {
		s.mu.Lock()
		s.left[name]--
		last := s.left[name] == 0
		s.mu.Unlock()
		if b := s.set.Block(name); last && b.CanStore(s.dtype) {
			if err := s.set.Store(b, s.dtype); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocks are those that a tensor fills, or a part of which.
func (p *placed) blocks() map[string]bool {
	names := map[string]bool{}
	for _, s := range p.segments {
		for _, pc := range s.pieces {
			names[pc.p.Block] = true
		}
	}
	return names
}

// first is where the tensor's first parameter begins.
func (p *placed) first() int {
	for _, s := range p.segments {
		for _, pc := range s.pieces {
			return pc.p.Offset
		}
	}
	return 0
}

// onAllCores does tasks 0 to n-1 in about this order, each worker by a function of its own,
// and reports the first task that failed and why; tasks behind it may be left out.
func onAllCores(n int, worker func() func(i int) error) (int, error) {
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		next   int
		failed error
		at     = n
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			do := worker()
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					if next = n; i < at {
						at, failed = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return at, failed
}
