package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// costs is the operations of parts of a forward pass over one sequence.
type costs struct{ whole, layer, head int64 }

// costs plans forward passes.
func (c *Calibration) costs() (k costs, err error) {
	flops := func(from int) int64 {
		b := graph.NewBuilder(c.Set, graph.BuildOptions{Documents: c.Data.Packed()})
		c.Model.Loss(b, 1, c.Data.Context, from)
		plan, perr := b.Plan(graph.PlanOptions{})
		if perr != nil {
			err = perr
			return 0
		}
		return plan.FLOPs()
	}
	n := int64(c.Set.Layers())
	k.whole = flops(0)
	last := k.whole
	if n > 1 {
		last = flops(int(n) - 1)
		k.layer = (k.whole - last) / (n - 1)
	} else {
		k.layer = k.whole
	}
	k.head = max(0, last-k.layer)
	return k, err
}

// tail is a trial of one layer, on average.
func (k costs) tail(layers int) int64 { return k.head + k.layer*int64(layers+1)/2 }

// solveFLOPs is the operations of the refits of a layer that keeps a share of its units.
func (c *Calibration) solveFLOPs(kept float64) (n int64) {
	tokens := c.enough().tokens()
	for _, g := range coupled.Groups(c.Set) {
		if g.Layer != 0 || g.Kind != coupled.VO && g.Kind != coupled.FFN {
			continue
		}
		for _, p := range g.Params() {
			if g.Side(p) == param.SideB {
				width := p.Dims[len(p.Dims)-1].Size
				rows := p.Size() / width
				n += coupled.RefitFLOPs(rows, int(kept*float64(rows)), width, tokens)
			}
		}
	}
	return n
}

// gramFLOPs is the operations of the second moments of all layers, without the forward pass that
// shows what they are of.
func (c *Calibration) gramFLOPs() (n int64) {
	s := c.enough()
	for _, g := range coupled.Groups(c.Set) {
		for _, p := range g.Params() {
			if (g.Kind == coupled.VO || g.Kind == coupled.FFN) && g.Side(p) == param.SideB {
				n += coupled.MomentFLOPs(p.Size()/p.Dims[len(p.Dims)-1].Size, s.tokens())
			}
		}
	}
	return n
}

// momentFLOPs is the operations of a pass that gathers the second moments of all layers.
func (c *Calibration) momentFLOPs(k costs) int64 {
	return c.gramFLOPs() + int64(c.enough().Len())*k.layer*int64(c.Set.Layers())
}

// measuring is the operations and bytes of an evaluation.
func (p *Job) measuring(k costs) (flops, bytes int64, err error) {
	if p.Measure == nil {
		return 0, 0, nil
	}
	b := graph.NewBuilder(p.Set, graph.BuildOptions{Documents: p.Data.Packed()})
	p.Model.Loss(b, max(1, measureBatch/p.Data.Context), p.Data.Context, 0)
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return 0, 0, err
	}
	return int64(p.MeasureTokens) * k.whole / int64(p.Data.Context), plan.ArenaBytes(), nil
}

// measureBatch is about how many tokens an evaluation runs at a time.
const measureBatch = 4096
