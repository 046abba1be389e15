package prune

import (
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/kernel"
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

// efficiency is the part of the machine's peak that products of usual sizes reach.
const efficiency = 0.65

// estimate plans all phases of one round and chooses the trial cuts (Promise).
func (p *Job) estimate() (e Estimate, err error) {
	w, err := p.workOfRound()
	if err != nil {
		return e, err
	}
	e.sequences, e.Plain = w.gather.Len(), w.plain()
	e.Rate = efficiency * kernel.PeakFLOPS(p.Pool, 0.05)
	add := func(name PhaseName, flops, bytes int64) {
		e.Phases = append(e.Phases, PhaseEstimate{name, flops, bytes})
	}
	m := w.memory
	refit := m.Evidence + m.Refit
	add(PhaseBefore, w.before, w.measuring)
	if w.basis > 0 {
		add(PhaseBasis, w.basis, m.Refit)
	}
	add(PhaseEvidence, w.evidence, m.Evidence+m.Gradients+m.Activations)
	if w.order > 0 {
		add(PhaseOrder, w.moments.next()+w.order, refit)
	}
	if w.measures {
		trials, compare, err := p.chooseMeasuring(w)
		if err != nil {
			return e, err
		}
		add(PhaseTrials, w.moments.next()+trials, refit)
		if w.held.Context > 0 {
			add(PhaseCompare, w.moments.next()+compare, refit)
		}
	}
	if !p.DryRun {
		add(PhaseRefit, w.moments.next()+w.solve, refit)
		e.Phases = append(e.Phases, p.recovering(e.Rate)...)
		add(PhaseAfter, w.after, w.measuring)
	}
	return e, nil
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
