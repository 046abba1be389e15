package prune

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// Memory is what a pruning takes beside the weights, in bytes.
type Memory struct {
	Gradients, Activations, Evidence int64 // of the pass that gathers evidence
	// Refit is what a layer's turn takes: its second moments, its weights as float32, the
	// system that is solved, activations, and the residual streams of the sequences.
	Refit int64
}

// Total is the most that is there at a time: evidence stays.
func (m Memory) Total() int64 { return m.Evidence + max(m.Gradients+m.Activations, m.Refit) }

func (m Memory) String() string {
	return fmt.Sprintf("gradients %s, activations %s, evidence %s; then a layer's refit %s", units.Bytes(m.Gradients), units.Bytes(m.Activations), units.Bytes(m.Evidence), units.Bytes(m.Refit))
}

// MemoryError is returned when a calibration takes more memory than there is.
type MemoryError struct {
	Need Memory
	Free int64  // bytes
	By   string // who has them: the machine, or a limit
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("pruning this model takes %s (%s), but %s has %s left", units.Bytes(e.Need.Total()), e.Need, e.By, units.Bytes(e.Free))
}

// available is what the system says is left; tests have other systems.
var available = sysmem.Available

// checkMemory says what the calibration takes and refuses it where that is not there.
func (p *Job) checkMemory() error {
	m, err := p.Memory()
	if err != nil {
		return err
	}
	if p.Evidence != nil { // no pass
		m.Gradients, m.Activations = 0, 0
	}
	p.tell(MemoryPlanned{m, p.Set.WeightBytes()})
	if free, by, known := available(); known && m.Total() > free {
		return &MemoryError{m, free, by}
	}
	return nil
}

// Memory plans the passes of a pruning, with the Batch and Recompute that fit (see fit);
// nothing is computed, and no memory is touched.
func (p *Job) Memory() (m Memory, err error) {
	o := p.options()
	e := coupled.NewEvidence(p.Set, o)
	m.Evidence = e.Bytes()
	e.Close()
	c, err := p.fit()
	if err != nil {
		return m, err
	}
	c.Data, _, _ = p.split()
	if o.PerSequence() {
		m.Gradients, c.Batch = 4*int64(p.Set.Len()), 1
	}
	plan, err := c.passPlan(o)
	if err != nil {
		return m, err
	}
	m.Activations = plan.ArenaBytes()
	m.Refit, err = c.refitBytes(p.Improve)
	return m, err
}

// passPlan is the plan of the pass that gathers evidence.
func (c *Calibration) passPlan(o coupled.Options) (*graph.Plan, error) {
	gradients := o.PerSequence()
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Train: gradients, Gates: !gradients, Documents: c.Data.Packed(), LayerGates: o.WholeLayers})
	c.Model.Loss(b, c.batch(), c.Data.Context, 0)
	return b.Plan(graph.PlanOptions{Taps: true, InGradients: true, Recompute: c.recompute()})
}

const (
	leastRoom = 256 << 20 // how much activations may take however small a model is,
	evenRoom  = 2 << 30   // and up to where as much as the weights
)

// fit is the calibration with a batch and a level of recomputation, where none is given: the
// fastest whose activations take no more than the weights as they are stored (half of them
// where that is more than evenRoom; or leastRoom), and no more than there is; where none does,
// the smallest.
func (p *Job) fit() (Calibration, error) {
	c := p.Calibration
	if c.Data.Len() == 0 || c.Batch > 0 && c.Recompute > graph.KeepAll {
		return c, nil
	}
	o := p.options()
	weights := p.Set.WeightBytes()
	room := max(leastRoom, min(weights, evenRoom), weights/2)
	if free, _, known := available(); known {
		room = min(room, free/2)
	}
	levels, batches := []graph.Recompute{graph.RecomputeLight, graph.RecomputeAttention, graph.RecomputeLayer}, []int{4, 2, 1}
	if c.Recompute > graph.KeepAll {
		levels = []graph.Recompute{c.Recompute}
	}
	if c.Batch > 0 {
		batches = []int{c.Batch}
	}
	best, least := c, int64(-1)
	for _, c.Recompute = range levels {
		for _, c.Batch = range batches {
			plan, err := c.passPlan(o)
			if err != nil {
				return c, err
			}
			n := plan.ArenaBytes()
			if n <= room {
				return c, nil
			}
			if least < 0 || n < least {
				best, least = c, n
			}
		}
	}
	return best, nil
}

// refitBytes is what trial cuts and refits of one layer take beside the evidence.
func (c *Calibration) refitBytes(improve coupled.Improve) (int64, error) {
	var most, system int64
	if _, o := improve.Options(0); o.Compensation {
		for layer := range c.Set.Layers() {
			e := coupled.NewEvidence(c.Set, c.momentOptions(improve, layer))
			most = max(most, e.Bytes())
			e.Close()
		}
		system = coupled.RefitBytes(widest(c.Set), c.width(), c.enough().tokens())
		c.channels(func(_, channels, _ int) { system = max(system, coupled.OrderBytes(channels)) })
	}
	wide := map[int]int64{} // float32 copies of a layer's largest block
	for _, b := range c.Set.Blocks {
		if l := b.Params[0].Layer; l != param.Outside {
			wide[l] = max(wide[l], 4*int64(b.Size()))
		}
	}
	var copies int64
	for _, n := range wide {
		copies = max(copies, n)
	}
	rows := int64(c.enough().Len()+4*DefaultTrial) * int64(c.Data.Context)
	plan, err := c.layerPlan()
	if err != nil {
		return 0, err
	}
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Documents: c.Data.Packed()})
	c.Model.Loss(b, c.batch(), c.Data.Context, max(0, c.Set.Layers()-2)) // a trial's way to the loss
	tail, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return 0, err
	}
	return most + system + copies + 4*rows*int64(c.width()) + max(plan.ArenaBytes(), tail.ArenaBytes()), nil
}

// width is the residual stream's.
func (c *Calibration) width() int {
	for _, p := range c.Set.Params {
		if p.Role == param.Embed || p.Role == param.O {
			return p.Dims[len(p.Dims)-1].Size
		}
	}
	return 0
}

// layerPlan is the plan of a step of a stream through a layer in the middle.
func (c *Calibration) layerPlan() (*graph.Plan, error) {
	from := max(0, c.Set.Layers()-2)
	b := graph.NewBuilder(c.Set, graph.BuildOptions{Documents: c.Data.Packed()})
	c.Model.Loss(b, c.batch(), c.Data.Context, from)
	var sites []string
	for _, what := range []string{"qkv", "ctx", "hidden"} {
		sites = append(sites, param.InLayer(from, what))
	}
	if from+1 < c.Set.Layers() {
		sites = append(sites, param.InLayer(from+1, "input"))
	}
	return b.Plan(graph.PlanOptions{Sites: sites})
}
