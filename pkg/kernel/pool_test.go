package kernel

import (
	"sync/atomic"
	"testing"
)

// A chunk under way may ask which one its worker does next: every chunk is done once all the same, by the worker
// that asked for it, and nothing that was asked for is left for the next operation.
func TestPoolClaims(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		p := NewPool(threads)
		for n := range 40 {
			j := &claimJob{p: p, done: make([]atomic.Int32, n), next: make([]int64, threads)}
			p.run(n, j)
			for c := range j.done {
				if k := j.done[c].Load(); k != 1 {
					t.Errorf("%d threads, %d chunks: chunk %d was done %d times", threads, n, c, k)
				}
			}
			if j.wrong.Load() > 0 {
				t.Errorf("%d threads, %d chunks: a worker was given another chunk than it had claimed", threads, n)
			}
		}
		p.Close()
	}
}

type claimJob struct {
	p     *Pool
	done  []atomic.Int32
	next  []int64 // chunk that each worker claimed, and one more
	wrong atomic.Int32
}

func (j *claimJob) do(worker, chunk int) {
	j.done[chunk].Add(1)
	if want := j.next[worker]; want > 0 && want-1 != int64(chunk) {
		j.wrong.Add(1)
	}
	if j.next[worker] = 0; j.p.threads > 1 && len(j.done) > 1 && chunk%3 > 0 {
		j.next[worker] = j.p.claim(&j.p.lanes[worker]) + 1
		if j.p.claim(&j.p.lanes[worker])+1 != j.next[worker] {
			j.wrong.Add(1)
		}
	}
}
