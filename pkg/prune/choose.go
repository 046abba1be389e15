package prune

import "github.com/ecospa/ecospa/pkg/coupled"

// trialChoice is how losses are measured that a plan is made by; 0 is what the options say.
type trialChoice struct {
	evaluations       int // at most, of trial cuts and the whole model
	sequences, tokens int // that a trial cut is measured on, and of each sequence the first so many
	every             int // one layer in so many has trial cuts (coupled.Request.Every)
	held, heldTokens  int // sequences that plans are compared on, and of each the first so many
}

// trialChoices are shares measured for each group, sequences, the part of each sequence (one of
// so many) that is read, and the layers of which one is measured, in the order in which room for
// more is used: the first is the least that is measured.
var trialChoices = []struct{ shares, sequences, part, every int }{
	{1, 1, 8, 4}, {1, 1, 8, 2}, {1, 1, 8, 1}, {1, 1, 4, 1}, {1, 1, 2, 1}, {1, 1, 1, 1}, {2, 1, 1, 1}, {2, 2, 1, 1}, {3, 2, 1, 1}, {3, 4, 1, 1}, {4, 4, 1, 1}, {6, 4, 1, 1},
}

// fewestTrialTokens is the least that a trial cut is measured on, where a whole sequence is more,
// and fewestHeldTokens the least that plans are compared on.
const fewestTrialTokens, fewestHeldTokens = 64, 256

// chooseMeasuring chooses the trial cuts and the sequences that plans are compared on, and
// returns the operations of both. Where the fewest trial cuts are more than the promise has room
// for, plans are compared on fewer sequences, and then on the first part of one.
func (p *Job) chooseMeasuring(w *roundWork) (trials, compare int64, err error) {
	room, held := int64(p.Promise*float64(w.plain()))-w.fixed, w.held
	n, part := held.Len(), 1
	plans := func() int64 {
		if held.Context == 0 {
			return 0
		}
		return 3 * (int64(n)*w.whole/int64(part) + w.solve)
	}
	trials, err = p.chooseTrials(w.costs, w.trial, room-plans())
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
