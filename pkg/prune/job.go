package prune

import (
	"context"
	"errors"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// Job prunes the model of a calibration, in place: the subcommand prune, the events of a
// training run and experiments are all one. Only Calibration and Config must be given.
type Job struct {
	Calibration
	Config  coupled.Config
	Improve coupled.Improve
	Rounds  int // one shot (1, the default), or so many rounds with evidence gathered anew
	// Trial is the most sequences on which sensitivity measures trial cuts, taken
	// from the front of Data; default DefaultTrial. As many from the end, but a quarter of Data at
	// most, are not gathered from: the allocation auto chooses by them.
	Trial int
	// Enough ends the gathering of evidence as soon as both halves of it make plans that
	// agree; then not all of Data is used. It has an effect with criteria that read gates only.
	Enough bool
	// Promise, where it is above 0, bounds the operations of a round, as a multiple of those
	// of forward and backward passes over its own calibration sequences: trial cuts get what
	// the rest leaves of it, at least one a group on an eighth of one sequence, of 64 tokens or more. Second moments
	// that phases compute again, as no disk has room for them, are not counted: a plan does not
	// depend on the disk.
	Promise float64
	// Checkpoint is a directory that keeps what a calibration has found, so that an interrupted
	// one goes on; "" keeps nothing. See resume.go.
	Checkpoint string
	// Scratch is a directory on whose disk second moments of layers may lie, where there is
	// room, so that one pass gathers them for all phases; "" gathers them in each.
	Scratch string
	// Uncoupled zeroes what each matrix would drop by its own ranking instead of
	// cutting pairs: the ablation. Shapes stay.
	Uncoupled bool
	// PlanFile is a plan made earlier that Run carries out instead of making one.
	PlanFile string
	// EvidenceFile is evidence that Run uses instead of a pass over the data in the first
	// round; SaveEvidence is where it keeps what it gathered, complete or absent.
	EvidenceFile, SaveEvidence string
	// DryRun makes Run decide the first round and carry nothing out. The basis of the set
	// has been changed when it returns, which leaves the model's function alone.
	DryRun bool

	// Unit is what losses are a mean over: token (also ""), image or text. The report says it.
	Unit    string
	Notify  func(Event)   // progress; may be nil
	Working func(Working) // the same, after every batch; may be nil
	// MeasureTokens is how many tokens Measure reads, for the estimate.
	MeasureTokens int
	// Measure evaluates the model as it is; Run calls it before and after. nil: nothing is
	// measured.
	Measure func() (Evaluation, error)
	// InTurns evaluates the same sequence with the model before the cut and with the one after
	// it in turns, and returns the rates of both, by turn, in units a second; nil where it cannot.
	// Run calls it at the end: speeds that were measured hours apart say less. May be nil.
	InTurns func() (before, after []float64, err error)
	// Footprints plan the memory of the model before and after; nil leaves them out.
	Footprints *Footprints
	// CheckMemory refuses a calibration that takes more memory than the machine has left.
	CheckMemory bool

	// Recovery, where it is not nil, is what Run ends with: training against the model
	// that Parent opens. Its options, batches and held-out batches are set; the models,
	// Pool and Progress are the job's affair.
	Recovery *recovery.Stage
	Parent   Parent
	// Training is how Recovery trains and what it takes, for the estimate and the report.
	Training recovery.Chosen
	// SaveRecovery keeps a state of the recovery to go on from, with the model at its best;
	// nil keeps none. Resumed, where it is not nil, is the pruning that Run goes on with: the
	// model is what it left, and Recovery.From its state.
	SaveRecovery func(*Result, recovery.State, []recovery.Saved) error
	Resumed      *Resumed

	// Vocabulary, where it is not nil, is what was cut from the vocabulary before: the
	// result's Before is the model that it was cut from, and without a target or a plan
	// nothing else is cut.
	Vocabulary *Vocabulary

	// Evidence, where it is not nil, is used in the first round instead of a
	// pass over the data; it must have been gathered in the same basis.
	Evidence *coupled.Evidence
	// Known is losses of trial cuts by the cut, as fmt prints it: those that are in
	// it are not measured again, those that are measured go in. It is for pruning the
	// same model with the same Evidence and Improve to several sizes; nil for none.
	Known map[string]float64
	// Slabs are parallel to the weights and are cut with them: gradients, moments. With
	// a basis they are of the old one afterwards, and worth nothing, but for Momenta, those of
	// them that are linear in gradients: they follow it (coupled.ChangeBasis).
	Slabs, Momenta []*param.Slab
	// Parallel is what else is cut with the weights: state of an optimizer, for one.
	Parallel []graph.Parallel
	// Footprint is the memory that a target of memory is about; only that needs it.
	Footprint coupled.Footprint

	progress phases
	trial    trialChoice
	used     int // sequences that evidence was gathered from; 0 for all
}

// DefaultTrial is how many sequences trial cuts are measured on.
const DefaultTrial = 4

// Run prunes, or with DryRun plans, recovers, and measures before and after. A context
// that ends stops it between two batches, with the model half pruned; during recovery it
// ends only the recovery (Result.Interrupted).
func (p *Job) Run(ctx context.Context) (r *Result, err error) {
	p.ctx = ctx
	r = &Result{Unit: p.Unit}
	defer func() {
		if err != nil {
			r.Close()
			r = nil
		}
	}()
	if err := errors.Join(p.check(), fault.Usage(p.Config.Check(p.Set)), p.checkRecovery()); err != nil {
		return r, err
	}
	defer func() {
		if r != nil {
			r.Estimate, r.Phases, r.PeakRSS = p.progress.estimate, p.progress.reports, p.progress.peak
		}
	}()
	err = p.cut(r)
	p.closeStore()
	if err != nil {
		return r, err
	}
	after := p.Set.Like()
	if p.DryRun && !p.whole() {
		if err := after.Shrink(r.Plan().Cut()); err != nil {
			return r, err
		}
	}
	if !p.whole() {
		r.Rows = rows(r.Plan(), after, p.Data.Context)
	}
	if r.MemoryAfter, err = p.Footprints.of(after); err != nil || p.DryRun {
		return r, err
	}
	if err := p.recover(ctx, r); err != nil {
		return r, err
	}
	p.ctx = nil // a signal ends the recovery, not what is left to do
	err = p.phase(PhaseAfter, func() (err error) {
		if r.After, err = p.Side(); err != nil || p.InTurns == nil {
			return err
		}
		before, after, err := p.InTurns()
		if before != nil {
			r.Before.Rates, r.After.Rates, r.InTurns = before, after, true
		}
		return err
	})
	return r, err
}

// cut measures the model and cuts it, or goes on with what was cut before.
func (p *Job) cut(r *Result) error {
	if p.Resumed != nil {
		return p.goOn(r)
	}
	if !p.whole() {
		if err := p.prepare(); err != nil {
			return err
		}
	}
	if err := p.phase(PhaseBefore, func() error { return p.before(r) }); err != nil {
		return err
	}
	if p.whole() {
		r.Rows = []Row{}
		return nil
	}
	return p.work(r)
}

// prepare decides how passes are made, says what they take, and refuses what does not fit.
func (p *Job) prepare() error {
	if p.group().Size() == 1 { // else all must decide alike
		c, err := p.fit()
		if err != nil {
			return err
		}
		p.Batch, p.Recompute = c.Batch, c.Recompute
	}
	p.Calibration.work = p.countWork
	if p.Recovery != nil && p.Training.Optimizer != "" {
		p.tell(p.Training)
	}
	if p.CheckMemory {
		if err := p.checkMemory(); err != nil {
			return err
		}
	}
	estimate, err := p.estimate()
	if err != nil {
		return err
	}
	p.progress.estimate = estimate
	p.tell(estimate)
	return p.openCheckpoint()
}

// whole reports that no unit is to be cut: the vocabulary was all.
func (p *Job) whole() bool {
	return p.Vocabulary != nil && !p.Config.Enabled() && p.PlanFile == ""
}

// before measures the model as it was before anything was cut.
func (p *Job) before(r *Result) (err error) {
	shapes := p.Set
	if r.Vocabulary = p.Vocabulary; r.Vocabulary != nil {
		shapes, r.Before = r.Vocabulary.Shapes, r.Vocabulary.Before
	} else if r.Before, err = p.Side(); err != nil {
		return err
	}
	r.MemoryBefore, err = p.Footprints.of(shapes.Like())
	return err
}

// work carries out the plan that is given, or makes its own.
func (p *Job) work(r *Result) error {
	if p.PlanFile != "" {
		plan, err := readPlan(p.PlanFile, p.Model, p.Set)
		if err != nil {
			return err
		}
		r.Plans = []*coupled.Plan{plan}
		return p.follow(plan)
	}
	if p.EvidenceFile != "" {
		var err error
		if p.Evidence, err = readEvidence(p.EvidenceFile, p.Model, p.Set); err != nil {
			return err
		}
	}
	shapes := p.Set.Like() // that evidence is gathered on
	err := p.rounds(r)
	if errors.Is(err, coupled.ErrBudget) {
		return fault.Usage(err)
	}
	if err == nil && p.SaveEvidence != "" && p.group().Rank() == 0 {
		err = writeEvidence(p.SaveEvidence, r.Evidence, p.Model, shapes)
	}
	return err
}
