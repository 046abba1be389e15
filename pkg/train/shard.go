package train

import (
	"math"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// With Config.ShardOptimizer every rank keeps the moments of one part of the
// parameters (ZeRO stage 1, https://arxiv.org/abs/1910.02054): gradients are summed
// into the parts, each rank updates its own, and the weights are gathered again. As
// many bytes travel as for a sum over all; moments take 1/Size of their memory.

// sharded reports whether moments are split over ranks.
func (l *Loop) sharded() bool { return l.ShardOptimizer && l.many() }

// newOptimizer makes the optimizer for the parameters as they are: all of them, or
// the rank's part.
func (l *Loop) newOptimizer() *optim.AdamW {
	set := l.trained()
	if !l.sharded() {
		return optim.NewAdamW(set, l.Optim)
	}
	b := l.bounds()
	return optim.NewAdamWPart(set, l.Optim, b[l.group.Rank()], b[l.group.Rank()+1])
}

// bounds are the parts of the slabs.
func (l *Loop) bounds() []int {
	return dist.Bounds(l.trained().Len(), l.Group().Size(), param.Align)
}

// scatter sums the gradients into the ranks' parts and returns their global norm.
func (l *Loop) scatter() (float64, error) {
	b := l.bounds()
	if err := l.group.Scatter(l.Grads.Data, b); err != nil {
		return 0, err
	}
	lo, hi := b[l.group.Rank()], b[l.group.Rank()+1]
	clear(l.Grads.Data[:lo])
	clear(l.Grads.Data[hi:])
	squares := []float64{kernel.SumSquares(l.Pool, l.Grads.Data[lo:hi])}
	err := l.group.SumFloat64(squares)
	return math.Sqrt(squares[0]), err
}

// Moments is the optimizer's slabs in full, gathered from the ranks where they are
// split: all ranks must call it. done gives the copies back.
func (l *Loop) Moments() (full []*param.Slab, done func(), err error) {
	full, done = l.MomentSlabs()
	if !l.sharded() {
		return full, done, nil
	}
	b := l.bounds()
	for i, own := range l.Opt.Slabs() {
		copy(full[i].Data[b[l.group.Rank()]:], own.Data)
		if err := l.group.Gather(full[i].Data, b); err != nil {
			done()
			return nil, func() {}, err
		}
	}
	return full, done, nil
}

// MomentSlabs is slabs for all of the optimizer's moments: its own where they are
// not split, else empty ones to be given to SetMoments. done gives the latter back.
func (l *Loop) MomentSlabs() (full []*param.Slab, done func()) {
	if !l.sharded() {
		return l.Opt.Slabs(), func() {}
	}
	for range l.Opt.Slabs() {
		full = append(full, l.trained().NewSlab())
	}
	return full, func() {
		for _, s := range full {
			s.Close()
		}
	}
}

// reshard splits moments anew, from the full ones, behind a change of shapes.
func (l *Loop) reshard(full []*param.Slab) {
	if !l.sharded() {
		return
	}
	step := l.Opt.Step
	l.Opt.Close()
	l.Opt = l.newOptimizer()
	l.Opt.Step = step
	l.SetMoments(full)
}

// SetMoments gives the optimizer its slabs from full ones, of which it keeps copies.
func (l *Loop) SetMoments(full []*param.Slab) {
	if !l.sharded() {
		return // MomentSlabs are its own
	}
	lo := l.bounds()[l.group.Rank()]
	for i, own := range l.Opt.Slabs() {
		copy(own.Data, full[i].Data[lo:])
	}
}
