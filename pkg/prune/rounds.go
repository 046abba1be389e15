package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

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
	defer p.closeStore()
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
// as well), held ones at the end, a quarter at most, which only auto uses.
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
	trial = trial.heads(p.trial.tokens)
	if p.Config.Allocation == "auto" && n >= 2 {
		t = max(1, min(t, n/4))
		gather, held = p.Data.slice(0, n-t), p.Data.slice(n-t, n)
		if h := p.trial.held; h > 0 {
			held = held.slice(0, min(h, t)).heads(p.trial.heldTokens)
		}
	}
	if p.used > 0 {
		gather = gather.slice(0, min(p.used, gather.Len()))
	}
	return gather, trial, held
}

// plan changes the basis, gathers evidence and decides, rank 0 for all.
func (p *Job) plan(r *Result, budget coupled.Budget) (*coupled.Plan, error) {
	p.used = 0
	p.closeStore()
	gather, trial, held := p.split()
	at, full, err := p.placeStore(gather)
	if err != nil {
		return nil, err
	}
	if full != nil {
		p.tell(*full)
	}
	e, seen, err := p.look(gather, budget, at)
	if err != nil {
		return nil, err
	}
	if r.Evidence != nil {
		r.Evidence.Close()
	}
	r.Evidence, r.Compared = e, seen
	p.used = seen.Sequences
	if err := p.openStore(at); err != nil {
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
	if err := p.orderChannels(r.Evidence); err != nil {
		return nil, err
	}
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
	req.Every = p.trial.every
	req.Losses = func(cuts []param.Cut) (losses []float64, err error) {
		p.tell(Measuring{len(cuts), trial.Len(), trial.Context, req.Every})
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
	if err := p.resumeLosses(t, data, held); err != nil {
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

// look changes the basis and gathers the evidence that scores and improvements need. A place for
// rows gets those of the pass.
func (p *Job) look(gather Sequences, budget coupled.Budget, at place) (e *coupled.Evidence, seen Compared, err error) {
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
	if at.rows {
		if p.store, err = c.recordingStore(at.dir, p.Improve); err != nil {
			return nil, seen, err
		}
		c.store = p.store
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
