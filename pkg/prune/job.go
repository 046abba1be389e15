package prune

import (
	"context"
	"errors"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/optim"
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
	// from the front of Data; default DefaultTrial. As many from the end are not gathered
	// from: the allocation auto chooses by them.
	Trial int
	// Enough ends the gathering of evidence as soon as both halves of it make plans that
	// agree; then not all of Data is used. It has an effect with criteria that read gates only.
	Enough bool
	// Promise, where it is above 0, bounds the operations of a round, as a multiple of those
	// of forward and backward passes over its own calibration sequences: trial cuts get what
	// the rest leaves of it, at least one a group on one sequence.
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
	// Footprints plan the memory of the model before and after; nil leaves them out.
	Footprints *Footprints
	// CheckMemory refuses a calibration that takes more memory than the machine has left.
	CheckMemory bool

	// Recovery, where it is not nil, is what Run ends with: training against the model
	// that Parent opens. Its options, batches and held-out batches are set; the models,
	// Pool and Progress are the job's affair.
	Recovery *recovery.Stage
	Parent   Parent
	// SaveRecovery keeps a state of the recovery to go on from, with the model at its best;
	// nil keeps none. Resumed, where it is not nil, is the pruning that Run goes on with: the
	// model is what it left, and Recovery.From its state.
	SaveRecovery func(*Result, recovery.State, []optim.NamedSlab) error
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
	// a basis they are of the old one afterwards, and worth nothing.
	Slabs []*param.Slab
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

// Result is what a pruning did.
type Result struct {
	Plans    []*coupled.Plan   // of every round, or the one that was followed
	Evidence *coupled.Evidence // of the last round, before its cut; the caller closes it
	Trials   int               // losses measured, by rank 0
	Zeros    []coupled.Zero    // rows zeroed by the ablation; rank 0 has them

	Unit          string           // of the job
	Before, After Side             // After is empty with DryRun; only Run fills them
	Vocabulary    *Vocabulary      // of the job
	Recovery      *recovery.Result // nil where none was asked for
	Interrupted   bool             // the recovery was
	// MemoryBefore and MemoryAfter are planned, with Footprints.
	MemoryBefore, MemoryAfter PlannedMemory
	Rows                      []Row // the last plan, by layer and kind

	Estimate Estimate
	Phases   []PhaseReport
	Compared Compared // the last comparison of halves of the evidence, and the sequences used
	PeakRSS  int64    // bytes, until the end of the last phase
}

// Close gives up the evidence.
func (r *Result) Close() {
	if r.Evidence != nil {
		r.Evidence.Close()
		r.Evidence = nil
	}
}

// Plan is the last round's.
func (r *Result) Plan() *coupled.Plan { return r.Plans[len(r.Plans)-1] }

// Zeroed is the number of rows that the ablation zeroed.
func (r *Result) Zeroed() (n int) {
	for _, z := range r.Zeros {
		n += len(z.Rows)
	}
	return n
}

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
	if err := p.cut(r); err != nil {
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
		r.After, err = p.Side()
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

// rounds decides and cuts as often as asked for.
func (p *Job) rounds(r *Result) error {
	goal, err := p.Config.Goal(p.Set, p.Footprint)
	if err != nil {
		return err
	}
	n := max(1, p.Rounds)
	if p.DryRun {
		_, err := p.plan(r, goal.At(1))
		return err
	}
	for i := range n {
		if n > 1 {
			p.tell(Round{i + 1, n})
		}
		if err := p.round(r, goal.At(float64(i+1)/float64(n))); err != nil {
			return err
		}
	}
	return nil
}

// Round prunes to a budget in one shot; the configuration's target is not looked at.
func (p *Job) Round(budget coupled.Budget) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r := &Result{}
	return r, p.round(r, budget)
}

func (p *Job) round(r *Result, budget coupled.Budget) error {
	plan, err := p.plan(r, budget)
	if err != nil {
		return err
	}
	return p.apply(r, plan)
}

// split divides the calibration data: trial sequences in front (gathered from
// as well), held ones at the end, which only auto uses.
func (p *Job) split() (gather, trial, held Sequences) {
	n := p.Data.Len()
	t := p.Trial
	if t == 0 {
		t = DefaultTrial
	}
	t = max(1, min(t, n/2))
	few := t
	if p.trial.sequences > 0 {
		few = min(t, p.trial.sequences)
	}
	gather, trial = p.Data, p.Data.slice(0, few)
	if p.Config.Allocation == "auto" && n >= 2 {
		gather, held = p.Data.slice(0, n-t), p.Data.slice(n-t, n)
	}
	if p.used > 0 {
		gather = gather.slice(0, min(p.used, gather.Len()))
	}
	return gather, trial, held
}

// plan changes the basis, gathers evidence and decides, rank 0 for all.
func (p *Job) plan(r *Result, budget coupled.Budget) (*coupled.Plan, error) {
	p.used = 0
	gather, trial, held := p.split()
	e, seen, err := p.look(gather, budget)
	if err != nil {
		return nil, err
	}
	if r.Evidence != nil {
		r.Evidence.Close()
	}
	r.Evidence, r.Compared = e, seen
	p.used = seen.Sequences
	if err := p.openStore(); err != nil {
		return nil, err
	}
	plan, err := Decide(p.group(), "the plan", func() (*coupled.Plan, error) { return p.decide(r, budget, trial, held) })
	if err != nil {
		return nil, err
	}
	r.Plans = append(r.Plans, plan)
	return plan, nil
}

// decide makes a plan from the result's evidence and trial cuts.
func (p *Job) decide(r *Result, budget coupled.Budget, trial, held Sequences) (*coupled.Plan, error) {
	req := coupled.Request{
		Set: p.Set, Family: p.Model.Family(), Config: p.Config, Budget: budget, Improve: p.Improve, Evidence: r.Evidence,
		Footprint: p.Footprint,
	}
	if !needsLoss(p.Config.Allocation) {
		return coupled.MakePlan(req)
	}
	if p.trial.evaluations > 0 {
		req.Config.Evaluations = min(req.Config.Evaluations, p.trial.evaluations)
	}
	req.Losses = func(cuts []param.Cut) (losses []float64, err error) {
		p.tell(Measuring{len(cuts), trial.Len(), trial.Context})
		err = p.phase(PhaseTrials, func() error {
			losses, err = p.measured(r, cuts, trial, false)
			return err
		})
		return losses, err
	}
	if held.Context > 0 {
		req.Held = func(cuts []param.Cut) (losses []float64, err error) {
			p.tell(Comparing{len(cuts), held.Len(), held.Context})
			err = p.phase(PhaseCompare, func() error {
				losses, err = p.measured(r, cuts, held, true)
				return err
			})
			return losses, err
		}
	}
	return coupled.MakePlan(req)
}

// measured is losses of cuts on trial or held sequences.
func (p *Job) measured(r *Result, cuts []param.Cut, data Sequences, held bool) ([]float64, error) {
	t := p.trials(r.Evidence)
	if held {
		t.Known = nil // of other data
	}
	if err := p.resumeLosses(t, held); err != nil {
		return nil, err
	}
	defer func() { r.Trials += t.Runs }()
	return t.Losses(cuts, data)
}

// trials measures trial cuts; the moments of refits are those of the data that evidence is
// gathered from.
func (p *Job) trials(scores *coupled.Evidence) *Trials {
	t := &Trials{Calibration: p.Calibration, Improve: p.Improve, Scores: scores, Known: p.Known}
	t.Data, _, _ = p.split()
	return t
}

// look changes the basis and gathers the evidence that scores and improvements need.
func (p *Job) look(gather Sequences, budget coupled.Budget) (e *coupled.Evidence, seen Compared, err error) {
	c := p.Calibration
	c.Data = gather
	seen = Compared{Sequences: gather.Len(), Overlap: -1}
	if err := p.changeBasis(gather, p.Improve); err != nil {
		return nil, seen, err
	}
	if e := p.Evidence; e != nil {
		p.Evidence = nil
		return e, seen, nil
	}
	p.tell(Gathering{gather.Len(), gather.Context, p.halves(c)})
	err = p.phase(PhaseEvidence, func() error {
		if p.halves(c) || p.Checkpoint != "" {
			e, seen, err = p.gatherEnough(c, budget)
		} else {
			e, err = c.Gather(p.options())
		}
		return err
	})
	return e, seen, err
}

// options is the evidence that scores and improvements need from a pass over all sequences;
// what refits need is gathered layer by layer, where it is used.
func (p *Job) options() coupled.Options {
	scale := p.Model.Scale()
	_, improve := p.Improve.Options(scale)
	improve.Compensation = false
	o := p.Config.Options(scale).Join(improve)
	o.Squares = o.Squares || p.Uncoupled
	return o
}

// follow carries out a plan made earlier for this model. What the plan records of
// its recipe is done again on the calibration data, which must be the data that
// the plan was made with: a basis and a refit come from them.
func (p *Job) follow(plan *coupled.Plan) error {
	plan, err := Decide(p.group(), "the plan", func() (*coupled.Plan, error) { return plan, nil })
	if err != nil {
		return err
	}
	c := p.Calibration
	c.Data, _, _ = p.split()
	_, improve := plan.Improve.Options(p.Model.Scale())
	if err := p.changeBasis(c.Data, plan.Improve); err != nil {
		return err
	}
	var e *coupled.Evidence
	if improve.Compensation = false; improve.Gains {
		var err error
		if e, err = c.Gather(improve); err != nil {
			return err
		}
		defer e.Close()
	}
	return p.phase(PhaseRefit, func() error { return p.carryOut(c, plan, e) })
}

func needsLoss(allocation string) bool { return allocation == "sensitivity" || allocation == "auto" }

// apply improves and cuts, or for the ablation zeroes.
func (p *Job) apply(r *Result, plan *coupled.Plan) error {
	if p.Uncoupled {
		return p.once(func() (err error) {
			if r.Zeros, err = coupled.Uncoupled(p.Set, r.Evidence, plan); err != nil {
				return err
			}
			return coupled.SetZero(p.Set, r.Zeros)
		})
	}
	c := p.Calibration
	c.Data, _, _ = p.split()
	return p.phase(PhaseRefit, func() error { return p.carryOut(c, plan, r.Evidence) })
}
