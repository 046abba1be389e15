package prune

import (
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// PhaseName says which part of a pruning.
type PhaseName string

// The phases of a round, in their order, and the evaluations around all of them.
const (
	PhaseBefore   PhaseName = "evaluation before"
	PhaseBasis    PhaseName = "basis"
	PhaseEvidence PhaseName = "evidence"
	PhaseOrder    PhaseName = "order of channels"
	PhaseTrials   PhaseName = "trial cuts"
	PhaseCompare  PhaseName = "comparison of plans"
	PhaseRefit    PhaseName = "refit and cut"
	PhaseRecovery PhaseName = "recovery"
	PhaseAfter    PhaseName = "evaluation after"
)

// Estimate is what a round takes before it begins, by phase, and what plain passes over the
// same sequences would.
type Estimate struct {
	Phases []PhaseEstimate
	Plain  int64 // operations of forward and backward passes over the calibration sequences
	Rate   float64

	sequences int // that Plain is of
}

// PhaseEstimate is one phase of it.
type PhaseEstimate struct {
	Name  PhaseName
	FLOPs int64 // of products
	Bytes int64 // beside the weights, at most
}

// FLOPs is all of them.
func (e Estimate) FLOPs() (n int64) {
	for _, p := range e.Phases {
		n += p.FLOPs
	}
	return n
}

// pruning is all of them but for the recovery.
func (e Estimate) pruning() (n int64) {
	for _, p := range e.Phases {
		if p.Name != PhaseRecovery {
			n += p.FLOPs
		}
	}
	return n
}

// String is a line of sums and a line a phase.
func (e Estimate) String() string {
	s := fmt.Sprintf("estimate  about %s at %.0f GFLOP/s, %.2f times forward and backward passes over the sequences", e.clock(e.FLOPs()), e.Rate/1e9, float64(e.pruning())/float64(max(1, e.Plain)))
	if e.pruning() < e.FLOPs() {
		s += ", recovery aside"
	}
	for _, p := range e.Phases {
		s += fmt.Sprintf("\n  %-20s %8s  %s beside the weights", p.Name, e.clock(p.FLOPs), units.Bytes(p.Bytes))
	}
	return s
}

func (e Estimate) clock(flops int64) string {
	return units.Clock(time.Duration(float64(flops) / e.Rate * 1e9))
}

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

// gramFLOPs is the operations of the second moments of all layers, momentFLOPs those of a forward
// pass, too.
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

func (c *Calibration) momentFLOPs(k costs) int64 {
	return c.gramFLOPs() + int64(c.enough().Len())*k.layer*int64(c.Set.Layers())
}

// trialChoice is how many trial cuts are made, on how many sequences and on how many tokens
// of each, in one of how many layers, and how many held-out sequences plans are compared on, and
// tokens of each; 0 is what the options say.
type trialChoice struct{ evaluations, sequences, tokens, every, held, heldTokens int }

// trialChoices are shares measured for each group, sequences and the part of each sequence
// (one of so many) that is read, and the layers of which one is measured
// (coupled.Request.Every), in the order in which room for more is used.
var trialChoices = []struct{ shares, sequences, part, every int }{
	{1, 1, 8, 4}, {1, 1, 8, 2}, {1, 1, 8, 1}, {1, 1, 4, 1}, {1, 1, 2, 1}, {1, 1, 1, 1}, {2, 1, 1, 1}, {2, 2, 1, 1}, {3, 2, 1, 1}, {3, 4, 1, 1}, {4, 4, 1, 1}, {6, 4, 1, 1},
}

// fewestTrialTokens is the least that a trial cut is measured on, where a whole sequence is more,
// and fewestHeldTokens the least that plans are compared on.
const fewestTrialTokens, fewestHeldTokens = 64, 256

// evaluationShare is what evaluations count for at most where trial cuts get the rest of the
// promise, as a share of plain passes: whoever asks for longer ones gets no worse a plan.
const evaluationShare = 0.4

// efficiency is the part of the machine's peak that products of usual sizes reach.
const efficiency = 0.65

// estimate plans all phases of one round and chooses the trial cuts (Promise).
func (p *Job) estimate() (e Estimate, err error) {
	gather, trial, held := p.split()
	c := p.Calibration
	c.Data = gather
	k, err := c.costs()
	if err != nil {
		return e, err
	}
	m, err := p.Memory()
	if err != nil {
		return e, err
	}
	pass, err := c.passPlan(p.options())
	if err != nil {
		return e, err
	}
	e.sequences = gather.Len()
	e.Plain = 3 * int64(gather.Len()) * k.whole
	e.Rate = efficiency * kernel.PeakFLOPS(p.Pool, 0.05)
	add := func(name PhaseName, flops, bytes int64) {
		e.Phases = append(e.Phases, PhaseEstimate{name, flops, bytes})
	}
	measure, measuring, err := p.measuring(k)
	if err != nil {
		return e, err
	}
	add(PhaseBefore, measure, measuring)
	prepare, improve := p.Improve.Options(0)
	if prepare.Basis {
		add(PhaseBasis, int64(basisData(gather).Len())*(k.whole-k.head), m.Refit)
	}
	add(PhaseEvidence, (pass.FLOPs()+pass.RecomputedFLOPs())*int64(gather.Len())/int64(c.batch()), m.Evidence+m.Gradients+m.Activations)
	moments, solve := int64(0), int64(0)
	if improve.Compensation {
		moments, solve = c.momentFLOPs(k), int64(c.Set.Layers())*c.solveFLOPs(0.7)
	}
	if recorded, err := p.records(gather); err != nil {
		return e, err
	} else if recorded {
		moments = 3 * c.gramFLOPs() // by trial cuts, the comparison of plans and the refit
	}
	if order := c.orderFLOPs(); order > 0 && p.PlanFile == "" && p.Config.ByRefit(p.Improve) {
		add(PhaseOrder, moments+order, m.Evidence+m.Refit)
		if p.stores() {
			moments = 0
		}
	}
	after := PhaseEstimate{PhaseAfter, measure * 7 / 10, measuring}
	if needsLoss(p.Config.Allocation) && p.PlanFile == "" {
		all := e.FLOPs() + after.FLOPs + moments + solve
		if least := int64(evaluationShare * float64(e.Plain)); measure+after.FLOPs > least {
			all -= measure + after.FLOPs - least // evaluations that are longer are not paid for by trial cuts
		}
		room := int64(p.Promise*float64(e.Plain)) - all
		flops, compare, err := p.chooseMeasuring(k, trial, held, room, solve)
		if err != nil {
			return e, err
		}
		add(PhaseTrials, moments+flops, m.Evidence+m.Refit)
		if held.Context > 0 {
			add(PhaseCompare, compare, m.Evidence+m.Refit)
		}
		moments = 0
	}
	if !p.DryRun {
		add(PhaseRefit, moments+solve, m.Evidence+m.Refit)
		e.Phases = append(append(e.Phases, p.recovering(e.Rate)...), after)
	}
	return e, nil
}

// chooseMeasuring chooses the trial cuts and the sequences that plans are compared on, and
// returns the operations of both. Where the fewest trial cuts are more than there is room
// for, plans are compared on fewer sequences, and then on the first part of one.
func (p *Job) chooseMeasuring(k costs, trial, held Sequences, room, solve int64) (trials, compare int64, err error) {
	n, part := held.Len(), 1
	plans := func() int64 {
		if held.Context == 0 {
			return 0
		}
		return 3 * (int64(n)*k.whole/int64(part) + solve)
	}
	trials, err = p.chooseTrials(k, trial, room-plans())
	for p.Promise > 0 && held.Context > 0 && trials+plans() > room {
		tokens := held.Context / part / 2
		if _, ok := held.slice(0, 1).Head(held.Context, tokens); n == 1 && (!ok || tokens < fewestHeldTokens) {
			break
		}
		if n > 1 {
			n /= 2
		} else {
			part *= 2
		}
		p.trial.held, p.trial.heldTokens = n, held.Context/part
	}
	return trials, plans(), err
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

// chooseTrials chooses the trial cuts that room, in operations, is enough for, or the fewest,
// and returns their operations.
func (p *Job) chooseTrials(k costs, trial Sequences, room int64) (int64, error) {
	groups := map[int]int{} // that are measured, by the layers of which one is
	for _, every := range []int{1, 2, 4} {
		n, err := coupled.Clusters(coupled.Request{Set: p.Set, Config: p.Config, Every: every})
		if err != nil {
			return 0, err
		}
		groups[every] = n
	}
	layers := p.Set.Layers()
	each := k.tail(layers)
	if p.Config.Layout != coupled.LayoutPerHead && p.Config.Layout != coupled.LayoutPerLayer {
		each = k.whole // of all layers
	}
	_, improve := p.Improve.Options(0)
	solve := int64(0)
	if improve.Compensation {
		solve = p.solveFLOPs(0.5) / 2
	}
	cost := func(cuts, sequences, part int) int64 {
		return int64(cuts)*(int64(sequences)*each/int64(part)+solve) + int64(sequences)*k.whole/int64(part)
	}
	most := func(every int) int { return min((p.Config.Evaluations-1)/max(1, groups[every]), 6) }
	if p.Promise <= 0 {
		return cost(groups[1]*most(1), trial.Len(), 1), nil
	}
	least := int64(-1)
	for _, o := range trialChoices {
		o.shares, o.sequences = min(o.shares, max(1, most(o.every))), min(o.sequences, trial.Len())
		tokens := trial.Context / o.part
		if _, ok := trial.Head(trial.Context, tokens); o.part > 1 && (!ok || tokens < fewestTrialTokens) {
			continue
		}
		cuts := groups[o.every] * o.shares
		if n := cost(cuts, o.sequences, o.part); least < 0 || n <= room {
			p.trial, least = trialChoice{evaluations: cuts + 1, sequences: o.sequences, tokens: tokens, every: o.every}, n
		}
	}
	return least, nil
}

// recovering is the phase of recovery, where there is one: the operations of its steps and
// measurements, or of the time that was given; the weights it takes beside those that there are.
func (p *Job) recovering(rate float64) []PhaseEstimate {
	if p.Recovery == nil || p.Training.Optimizer == "" {
		return nil
	}
	flops := int64(p.Recovery.Time.Seconds() * rate)
	if p.Recovery.Tokens > 0 {
		flops = p.Training.Plan.FLOPs(p.Recovery.Options)
	}
	return []PhaseEstimate{{PhaseRecovery, flops, max(0, p.Training.Plan.Total()-p.Set.WeightBytes())}}
}
