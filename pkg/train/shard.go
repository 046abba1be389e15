package train

import (
	"math"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// With Config.ShardOptimizer every rank keeps the optimizer's state of some blocks of
// the parameters (ZeRO stage 1, https://arxiv.org/abs/1910.02054): gradients are summed
// into the parts, each rank updates its own, and the weights are gathered again. As
// many bytes travel as for a sum over all; moments take 1/Size of their memory.

// sharded reports whether moments are split over ranks.
func (l *Loop) sharded() bool { return l.ShardOptimizer && l.many() }

// newOptimizer makes the optimizer for the parameters as they are: all of them, or
// the rank's part.
func (l *Loop) newOptimizer() optim.Interface {
	set := l.trained()
	if !l.sharded() {
		return optim.New(set, l.Optim)
	}
	return optim.NewPart(set, l.Optim, l.parts()[l.group.Rank()])
}

// parts are the blocks that each rank updates.
func (l *Loop) parts() []optim.Part { return optim.Parts(l.trained(), l.Group().Size()) }

// bounds are the parts in slabs that are parallel to the weights.
func (l *Loop) bounds() []int {
	set := l.trained()
	return optim.Slot{Layout: set}.Bounds(set, l.parts())
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

// State is the optimizer's slabs in full, gathered from the ranks where they are
// split: all ranks must call it. done releases the copies.
func (l *Loop) State() (full []optim.NamedSlab, done func(), err error) {
	full, done = l.StateSlabs()
	if !l.sharded() {
		return full, done, nil
	}
	for i, own := range l.Opt.Slabs() {
		b := own.Bounds(l.trained(), l.parts())
		copy(full[i].Slab.Data[b[l.group.Rank()]:], own.Slab.Data)
		if err := l.group.Gather(full[i].Slab.Data, b); err != nil {
			done()
			return nil, func() {}, err
		}
	}
	return full, done, nil
}

// StateSlabs is slabs for all of the optimizer's state: its own where they are not
// split, else empty ones to be given to SetState. done releases the latter.
func (l *Loop) StateSlabs() (full []optim.NamedSlab, done func()) {
	if !l.sharded() {
		return l.Opt.Slabs(), func() {}
	}
	for _, own := range l.Opt.Slabs() {
		full = append(full, optim.NamedSlab{Slot: own.Slot, Slab: own.Layout.NewSlab()})
	}
	return full, func() {
		for _, s := range full {
			s.Slab.Close()
		}
	}
}

// reshard splits the state anew, from the full slabs, after a change of shapes.
func (l *Loop) reshard(full []optim.NamedSlab) {
	if !l.sharded() {
		return
	}
	updates := l.Opt.Updates()
	optim.Close(l.Opt)
	l.Opt = l.newOptimizer()
	l.Opt.SetUpdates(updates)
	l.SetState(full)
}

// SetState gives the optimizer its slabs from full ones, of which it keeps copies.
func (l *Loop) SetState(full []optim.NamedSlab) {
	if !l.sharded() {
		return // StateSlabs are its own
	}
	part := l.parts()[l.group.Rank()]
	for i, own := range l.Opt.Slabs() {
		lo, hi := own.Span(l.trained(), part)
		copy(own.Slab.Data, full[i].Slab.Data[lo:hi])
	}
}

// cutting divides the optimizer's state, in full, by how a cut of what is trained reaches it.
func (l *Loop) cutting(full []optim.NamedSlab) (slabs []*param.Slab, others []graph.Parallel) {
	slabs, own := optim.Cutting(l.trained(), full)
	for _, c := range own {
		others = append(others, c)
	}
	for _, s := range []*param.Slab{l.Grads, l.average} {
		if s != nil {
			slabs = append(slabs, s)
		}
	}
	return slabs, others
}
