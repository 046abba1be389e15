package optim

import (
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdamW is Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101).
type AdamW struct {
	Config
	M, V *param.Slab // first and second moment, parallel to the weights; with Moments bf16 V is nil and M holds both, see kernel.AdamW16Step
	Step int         // updates made so far
	lo   int         // first element of the slabs that M and V are of
	// Stale, where it is not nil, reports blocks whose gradients Update need not
	// clear: the next step overwrites them.
	Stale func(block string) bool
}

// NewAdamW makes an optimizer with zero moments for the parameters of set.
func NewAdamW(set *param.Set, c Config) *AdamW {
	a := &AdamW{Config: c, M: set.NewSlab()}
	if !c.HalfMoments() {
		a.V = set.NewSlab()
	}
	return a
}

// NewAdamWPart makes an optimizer for the elements lo to hi of the slabs alone: its
// moments are as long as that.
func NewAdamWPart(set *param.Set, c Config, lo, hi int) *AdamW {
	a := &AdamW{Config: c, M: param.NewSlab(hi - lo), lo: lo}
	if !c.HalfMoments() {
		a.V = param.NewSlab(hi - lo)
	}
	return a
}

// Slabs lists what has to shrink with the weights.
func (a *AdamW) Slabs() []*param.Slab {
	if a.V == nil {
		return []*param.Slab{a.M}
	}
	return []*param.Slab{a.M, a.V}
}

// Reset forgets all that has been seen.
func (a *AdamW) Reset() {
	for _, s := range a.Slabs() {
		clear(s.Data)
	}
	a.Step = 0
}

// Close releases the moments.
func (a *AdamW) Close() {
	for _, s := range a.Slabs() {
		s.Close()
	}
}

// GradNorm is the global L2 norm of the gradients.
func GradNorm(p *kernel.Pool, grads *param.Slab) float64 {
	return math.Sqrt(kernel.SumSquares(p, grads.Data))
}

// Update makes one step with learning rate lr from the gradients, whose global
// norm is norm, clipped to Config.Clip, and clears the gradients for the next
// step in the same pass, but those that are Stale.
func (a *AdamW) Update(p *kernel.Pool, set *param.Set, grads *param.Slab, lr, norm float64) {
	a.Step++
	args := kernel.AdamWArgs{
		LR: float32(lr), Beta1: float32(a.Beta1), Beta2: float32(a.Beta2), Eps: float32(a.Eps),
		GradScale: 1, Step: a.Step, ClearGrad: true,
	}
	if a.Clip > 0 && norm > a.Clip {
		args.GradScale = float32(a.Clip / norm)
	}
	lo, hi, decay, stale := 0, 0, false, false
	flush := func() {
		args.WeightDecay, args.ClearGrad = 0, !stale
		if decay {
			args.WeightDecay = float32(a.WeightDecay)
		}
		from, to := max(lo, a.lo), min(hi, a.lo+len(a.M.Data))
		switch {
		case to <= from:
		case a.V == nil:
			kernel.AdamW16Step(p, set.Weights.Data[from:to], grads.Data[from:to], a.M.Data[from-a.lo:to-a.lo], from, args)
		default:
			kernel.AdamWStep(p, set.Weights.Data[from:to], grads.Data[from:to], a.M.Data[from-a.lo:to-a.lo], a.V.Data[from-a.lo:to-a.lo], args)
		}
	}
	// Neighbouring blocks that are treated alike go together. The padding between them
	// is zero in every slab and stays zero under the update.
	for _, b := range set.Blocks {
		d, s := b.Params[0].Decay, a.Stale != nil && a.Stale(b.Name)
		if d != decay || s != stale {
			flush()
			lo, decay, stale = b.Offset, d, s
		}
		hi = b.Offset + b.Size()
	}
	flush()
}
