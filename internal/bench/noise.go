package bench

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
)

// Noise is batches of random tokens, or of random images.
type Noise struct {
	rng   *rand.Rand
	vocab int
	b     data.Batch
}

// NewNoise makes batches of n sequences of seq tokens, or of n images, for a model.
func NewNoise(m model.Model, n, seq int) *Noise {
	b := data.Batch{N: n}
	if c, ok := m.(model.Classifier); ok {
		b.Pixels, b.Targets = make([]float32, n*c.Image().Size()), make([]int32, n)
	} else {
		b.IDs, b.Targets = make([]int32, n*seq), make([]int32, n*seq)
	}
	return &Noise{rand.New(rand.NewPCG(1, 2)), m.Vocab(), b}
}

// Next is Batch as training asks for it.
func (n *Noise) Next() (data.Batch, error) { return n.Batch(), nil }

// Batch fills the batch with new values.
func (n *Noise) Batch() data.Batch {
	for i := range n.b.Pixels {
		n.b.Pixels[i] = float32(n.rng.NormFloat64())
	}
	for _, ids := range [][]int32{n.b.IDs, n.b.Targets} {
		for i := range ids {
			ids[i] = int32(n.rng.IntN(n.vocab))
		}
	}
	return n.b
}

// Timed runs f once to warm up, then n times, and returns the median in milliseconds.
func Timed(n int, f func() error) (float64, error) {
	ms, _, err := TimedHeap(n, f)
	return ms, err
}

// TimedHeap is Timed; heap is the Go heap that a call allocated, in bytes, on average.
func TimedHeap(n int, f func() error) (ms float64, heap int64, err error) {
	if err := f(); err != nil {
		return 0, 0, err
	}
	each := make([]float64, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range each {
		start := time.Now()
		if err := f(); err != nil {
			return 0, 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	runtime.ReadMemStats(&after)
	return units.Median(each), int64(after.TotalAlloc-before.TotalAlloc) / int64(n), nil
}
