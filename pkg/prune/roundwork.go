package prune

// roundWork is what a round computes, in operations, but for trial cuts.
type roundWork struct {
	costs
	gather, trial, held Sequences
	memory              Memory

	before, after, measuring int64 // evaluations; bytes of each
	basis, evidence, order   int64 // 0 for what is not done; order without its second moments
	measures                 bool  // trial cuts are measured
	moments                  momentWork
	solve                    int64 // the refits of all layers

	fixed int64 // what the promise is to hold beside trial cuts and the comparison of plans
}

// plain is forward and backward passes over the calibration sequences.
func (w *roundWork) plain() int64 { return 3 * int64(w.gather.Len()) * w.whole }

// momentWork is the operations of second moments: in the first phase that needs them, and in
// each after it.
type momentWork struct {
	first, later int64
	phases       int // so far
}

// next is those of the next phase.
func (w *momentWork) next() int64 {
	w.phases++
	if w.phases == 1 {
		return w.first
	}
	return w.later
}

// momentWork is what second moments take with a store, of rows of activations or of moments, and
// without one.
func (c *Calibration) momentWork(k costs, stored, rows bool) momentWork {
	switch pass := c.momentFLOPs(k); {
	case stored && rows:
		return momentWork{first: c.gramFLOPs(), later: c.gramFLOPs()}
	case stored:
		return momentWork{first: pass}
	default:
		return momentWork{first: pass, later: pass}
	}
}

// workOfRound plans a round.
func (p *Job) workOfRound() (w *roundWork, err error) {
	w = &roundWork{}
	w.gather, w.trial, w.held = p.split()
	c := p.Calibration
	c.Data = w.gather
	if w.costs, err = c.costs(); err != nil {
		return w, err
	}
	if w.memory, err = p.Memory(); err != nil {
		return w, err
	}
	if w.before, w.measuring, err = p.measuring(w.costs); err != nil {
		return w, err
	}
	w.after = w.before * 7 / 10
	pass, err := c.passPlan(p.options())
	if err != nil {
		return w, err
	}
	w.evidence = (pass.FLOPs() + pass.RecomputedFLOPs()) * int64(w.gather.Len()) / int64(c.batch())
	prepare, improve := p.Improve.Options(0)
	if prepare.Basis {
		w.basis = int64(basisData(w.gather).Len()) * (w.whole - w.head)
	}
	plans := p.PlanFile == ""
	if plans && p.Config.ByRefit(p.Improve) {
		w.order = c.orderFLOPs()
	}
	w.measures = plans && needsLoss(p.Config.Allocation)
	var promised momentWork
	if improve.Compensation {
		at, _, err := p.placeStore(w.gather)
		if err != nil {
			return w, err
		}
		w.moments = c.momentWork(w.costs, at.dir != "", at.rows)
		w.solve, promised = int64(p.Set.Layers())*c.solveFLOPs(0.7), c.momentWork(w.costs, true, p.records(w.gather))
	}
	w.fix(promised)
	return w, nil
}

// evaluationShare is what evaluations count for at most where trial cuts get the rest of the
// promise, as a share of plain passes: whoever asks for longer ones gets no worse a plan.
const evaluationShare = 0.4

// fix sums up what the promise is to hold beside trial cuts and the comparison of plans, with
// second moments as where there is a store.
func (w *roundWork) fix(moments momentWork) {
	w.fixed = min(w.before+w.after, int64(evaluationShare*float64(w.plain()))) + w.basis + w.evidence + w.order + w.solve + moments.next()
	for _, needs := range []bool{w.order > 0, w.held.Context > 0, w.measures} {
		if needs {
			w.fixed += moments.next() // the refit's are there
		}
	}
}
