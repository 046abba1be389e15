package disttest

import (
	"fmt"
	"math"
	"sync"

	"github.com/ecospa/ecospa/internal/dist"
)

// local is one rank among goroutines of this process.
type local struct {
	rank int
	hub  *hub
	sent int64
}

// hub is where the ranks meet: a call is complete when all have come.
type hub struct {
	mu    sync.Mutex
	cond  *sync.Cond
	size  int
	here  int
	round int
	parts []any // of each rank, in this round
	err   error
}

// Local is a group of size ranks within this process. Sums are made in the order
// of the ranks.
func Local(size int) []dist.Group {
	h := &hub{size: size, parts: make([]any, size)}
	h.cond = sync.NewCond(&h.mu)
	out := make([]dist.Group, size)
	for r := range out {
		out[r] = &local{rank: r, hub: h}
	}
	return out
}

// meet waits for all ranks; the last to come calls f on what they brought.
func (l *local) meet(part any, f func(parts []any) error) error {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts[l.rank] = part
	h.here++
	round := h.round
	if h.here == h.size {
		h.here, h.err = 0, f(h.parts)
		h.round++
		h.cond.Broadcast()
		return h.err
	}
	for h.round == round {
		h.cond.Wait()
	}
	return h.err
}

func (l *local) Rank() int   { return l.rank }
func (l *local) Size() int   { return l.hub.size }
func (l *local) Sent() int64 { return l.sent }

// sum adds all parts and gives every rank the result.
func sum[T float32 | float64](parts []any, round func(T) T) error {
	first := parts[0].([]T)
	for _, p := range parts[1:] {
		x := p.([]T)
		if len(x) != len(first) {
			return fmt.Errorf("dist: a sum of %d and of %d elements", len(first), len(x))
		}
		for i := range first {
			first[i] = round(round(first[i]) + round(x[i]))
		}
	}
	for _, p := range parts[1:] {
		copy(p.([]T), first)
	}
	return nil
}

func exact[T any](x T) T { return x }

// toBF16 rounds to the nearest bfloat16, ties to even.
func toBF16(x float32) float32 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return x
	}
	b += 0x7fff + b>>16&1
	return math.Float32frombits(b &^ 0xffff)
}

func (l *local) Sum(x []float32) error {
	l.sent += 4 * int64(len(x))
	return l.meet(x, func(p []any) error { return sum(p, exact[float32]) })
}

func (l *local) SumBF16(x []float32) error {
	l.sent += 2 * int64(len(x))
	return l.meet(x, func(p []any) error { return sum(p, toBF16) })
}

func (l *local) SumFloat64(x []float64) error {
	l.sent += 8 * int64(len(x))
	return l.meet(x, func(p []any) error { return sum(p, exact[float64]) })
}

func (l *local) Scatter(x []float32, bounds []int) error {
	l.sent += 4 * int64(len(x))
	return l.meet(x, func(p []any) error { return sum(p, exact[float32]) })
}

func (l *local) Gather(x []float32, bounds []int) error {
	l.sent += 4 * int64(bounds[l.rank+1]-bounds[l.rank])
	return l.meet(x, func(parts []any) error {
		for r, p := range parts {
			own := p.([]float32)[bounds[r]:bounds[r+1]]
			for _, q := range parts {
				copy(q.([]float32)[bounds[r]:bounds[r+1]], own)
			}
		}
		return nil
	})
}

func (l *local) Broadcast(b []byte) error {
	if l.rank == 0 {
		l.sent += int64(len(b))
	}
	return l.meet(b, func(parts []any) error {
		for _, p := range parts[1:] {
			if copy(p.([]byte), parts[0].([]byte)) != len(p.([]byte)) {
				return fmt.Errorf("dist: a broadcast of %d bytes for %d", len(parts[0].([]byte)), len(p.([]byte)))
			}
		}
		return nil
	})
}
