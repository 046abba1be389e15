package config

import (
	"fmt"
	"slices"
	"strings"
)

// Frontier is a file that compares ways to a model of some size at equal operations of training.
type Frontier struct {
	// Train is the run file of the big dense model; out is left empty. Its steps say how many
	// operations every way has, its prune section what is cut, but for start and end.
	Train  Run             `yaml:"train"`
	Shapes []FrontierShape `yaml:"shapes"` // small dense models of about as many parameters as the pruned one; required
	Pruned []FrontierPrune `yaml:"pruned"` // pruned within a run; the plan of the first of them is trained from scratch as well; required
	Late   []FrontierLate  `yaml:"late"`   // trained whole, cut once, then trained further
	LRs    []float64       `yaml:"lrs"`    // highest learning rates that are tried, increasing; required
	Beta2s []float64       `yaml:"beta2s"` // values of optim.beta2 that are tried; default [0.95, 0.99, 0.999]
	// Grid tries every rate with every beta2. Default false: the rates with the first beta2, then
	// the others with the best rate.
	Grid  bool     `yaml:"grid"`
	Seeds []uint64 `yaml:"seeds"` // the first one chooses rate, beta2 and shape; default [1, 2, 3]
	// Least tokens that every way is trained on, a parameter of the pruned model; default 20.
	TokensPerParam float64 `yaml:"tokens_per_param"`
	Repeats        float64 `yaml:"repeats"` // how often the training text may be read at most; default 4
	Out            string  `yaml:"out"`     // directory of the results
}

// FrontierShape is a small dense model.
type FrontierShape struct {
	Name string   `yaml:"name"` // small letters, digits and dashes; required
	Set  []string `yaml:"set"`  // overrides of the big model's section model, KEY=VALUE; required
}

// FrontierPrune is pruning within a run.
type FrontierPrune struct {
	Name  string  `yaml:"name"`  // small letters, digits and dashes; required
	Start float64 `yaml:"start"` // share of the operations before the first event
	End   float64 `yaml:"end"`   // and before the last one; the events between them are prune.events
	// KL makes the run learn from a copy of the model as it was before the first event as well:
	// teacher.copy of the run file, with its temperature and weight.
	KL bool `yaml:"kl"`
}

// FrontierLate is a whole model that is cut when it has been trained.
type FrontierLate struct {
	Name           string  `yaml:"name"`            // small letters, digits and dashes; required
	Share          float64 `yaml:"share"`           // of the operations, before the cut; default 0.6
	Learn          string  `yaml:"learn"`           // what the cut model learns from: parent (default), as prune --recover, or text
	Sequences      int     `yaml:"sequences"`       // of calibration; default 32
	TrialSequences int     `yaml:"trial_sequences"` // on which trial cuts are measured; default 2
}

// DefaultFrontier is the file that says nothing.
func DefaultFrontier() Frontier {
	return Frontier{Train: Default(), Beta2s: []float64{0.95, 0.99, 0.999}, Seeds: []uint64{1, 2, 3}, TokensPerParam: 20, Repeats: 4}
}

// LoadFrontier reads such a file over the defaults, strictly, with key.path=value overrides, and
// checks it.
func LoadFrontier(path string, overrides []string) (Frontier, error) {
	f := DefaultFrontier()
	text, err := readFile(path)
	if err != nil {
		return f, err
	}
	if err = DecodeWith(text, overrides, &f); err == nil {
		f.resolve()
		err = f.validate()
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Small is the run file of a small dense model.
func (f Frontier) Small(s FrontierShape) (Run, error) {
	r := f.Train
	r.Dense()
	for _, o := range s.Set {
		if err := DecodeWith(nil, []string{"model." + o}, &r); err != nil {
			return r, fmt.Errorf("shapes, %s: %w", s.Name, err)
		}
	}
	return r, nil
}

func (f *Frontier) resolve() {
	for i := range f.Late {
		l := &f.Late[i]
		if l.Share == 0 {
			l.Share = 0.6
		}
		if l.Learn == "" {
			l.Learn = LearnParent
		}
		if l.Sequences == 0 {
			l.Sequences = 32
		}
		if l.TrialSequences == 0 {
			l.TrialSequences = 2
		}
	}
}

func (f Frontier) validate() error {
	t := f.Train
	switch {
	case f.Out == "":
		return refused("out is empty, expected the directory of the results (or give --out)")
	case len(f.Shapes) == 0 || len(f.Pruned) == 0 || len(f.LRs) == 0 || len(f.Beta2s) == 0 || len(f.Seeds) == 0:
		return refused("shapes, pruned, lrs, beta2s and seeds have %d, %d, %d, %d and %d entries, expected at least one of each", len(f.Shapes), len(f.Pruned), len(f.LRs), len(f.Beta2s), len(f.Seeds))
	case !slices.IsSorted(f.LRs):
		return refused("lrs is %v, expected increasing rates", f.LRs)
	case !(f.TokensPerParam >= 0 && f.TokensPerParam <= 1e6) || !(f.Repeats > 0 && f.Repeats <= 1e6):
		return refused("tokens_per_param is %g and repeats %g, expected 0 to 1e6 and above 0", f.TokensPerParam, f.Repeats)
	case t.Out != "" || t.From != "" || t.Teacher.Copy || t.Teacher.Enabled() || t.LoRA.Enabled() || t.Preference.Enabled() || t.Data.Mix != nil || t.Model.Images():
		return refused("train has out, from, teacher.model, teacher.copy, lora, preference, data.mix or a model of images, none of which applies")
	case t.Prune.Target == "" || t.Prune.Calibration > 0:
		return refused("train.prune has target %q and calibration %d, expected a target and no calibration", t.Prune.Target, t.Prune.Calibration)
	case t.Optim.LR != Default().Optim.LR || t.Optim.Beta2 != Default().Optim.Beta2 || t.Train.Seed != Default().Train.Seed || t.Prune.Seed != Default().Prune.Seed || t.Prune.Start != Default().Prune.Start || t.Prune.End != Default().Prune.End:
		return refused("train has optim.lr, optim.beta2, train.seed, prune.seed, prune.start or prune.end, which do not apply: lrs, beta2s, seeds and pruned say them")
	case t.Teacher != Default().Teacher && !slices.ContainsFunc(f.Pruned, func(p FrontierPrune) bool { return p.KL }):
		return refused("train.teacher does not apply where kl of no pruned is true")
	case t.Train.Steps < 1 || t.Train.Patience > 0 || t.Optim.HalfLife > 0:
		return refused("train.train has steps %d and patience %d, train.optim.beta2_half_life is %g; expected steps, and neither of the others", t.Train.Steps, t.Train.Patience, t.Optim.HalfLife)
	}
	t.Out = f.Out
	if err := t.Validate(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return f.validateWays()
}

// validateWays checks the names and shares, and what is tried.
func (f Frontier) validateWays() error {
	names := []string{FrontierBig, FrontierPlan}
	named := func(key, name string) error {
		if !plainName.MatchString(name) || slices.Contains(names, name) {
			return refused("%s has name %q, expected small letters, digits and dashes, none of %s", key, name, strings.Join(names, ", "))
		}
		names = append(names, name)
		return nil
	}
	for _, s := range f.Shapes {
		if err := named("shapes", s.Name); err != nil {
			return err
		}
		r, err := f.Small(s)
		if err == nil {
			r.Out = f.Out
			err = r.Validate()
		}
		if err != nil {
			return err
		}
	}
	for _, p := range f.Pruned {
		if err := named("pruned", p.Name); err != nil {
			return err
		}
		if !(p.Start > 0 && p.Start <= p.End && p.End < 1) {
			return refused("pruned, %s: start is %g and end %g, expected shares of the operations between 0 and 1, start first", p.Name, p.Start, p.End)
		}
	}
	for _, l := range f.Late {
		if err := named("late", l.Name); err != nil {
			return err
		}
		if !(l.Share > 0 && l.Share < 1) || l.Learn != LearnParent && l.Learn != LearnText || l.Sequences < 2 || l.TrialSequences < 1 {
			return refused("late, %s: share is %g, learn %q, sequences %d and trial_sequences %d; expected a share between 0 and 1, %s or %s, at least 2 and 1",
				l.Name, l.Share, l.Learn, l.Sequences, l.TrialSequences, LearnParent, LearnText)
		}
	}
	return f.validateTried()
}

// validateTried checks rates, beta2 and seeds.
func (f Frontier) validateTried() error {
	for _, lr := range f.LRs {
		for _, b := range f.Beta2s {
			o := f.Train.Optim
			if o.LR, o.Beta2 = lr, b; o.Validate() != nil {
				return refused("lrs and beta2s: %v", o.Validate())
			}
		}
	}
	list := func(x any) []string { return strings.Fields(strings.Trim(fmt.Sprint(x), "[]")) }
	for _, k := range []struct {
		key string
		of  any
	}{{"lrs", f.LRs}, {"beta2s", f.Beta2s}, {"seeds", f.Seeds}} {
		if err := distinct(k.key, list(k.of)); err != nil {
			return err
		}
	}
	return nil
}

// The rows that every such comparison has, beside its shapes and ways.
const (
	FrontierBig  = "big"      // the dense model that the others are cut from
	FrontierPlan = "plan-new" // the shape of the first pruned one, from new weights
)
