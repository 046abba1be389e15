package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// Compare is a comparison file: methods x budgets x seeds on one model.
type Compare struct {
	Train          Run      `yaml:"train"`           // run file of the dense model, with its data; out and prune are left empty
	Model          string   `yaml:"model"`           // dense model DIR, {seed} standing for the seed; default OUT/dense-{seed}, trained when it is not there
	Seeds          []uint64 `yaml:"seeds"`           // of the dense models, of the choice of calibration sequences and of the criterion random; default [1]
	Budgets        []string `yaml:"budgets"`         // what stays, as prune.target: 0.5x, 27M; required
	Of             string   `yaml:"of"`              // what budgets count: all or prunable (default) parameters
	Kinds          []string `yaml:"kinds"`           // kinds of units that may be removed; default [qk, vo, ffn]
	Sequences      int      `yaml:"sequences"`       // calibration sequences; default 256
	TrialSequences int      `yaml:"trial_sequences"` // sequences on which trial cuts are measured; default 16
	EvalTokens     int      `yaml:"eval_tokens"`     // held-out tokens of every evaluation, from the front; default (0) all
	Methods        []Method `yaml:"methods"`         // what is compared; required
	Recover        Recover  `yaml:"recover"`         // training after the cut
	Out            string   `yaml:"out"`             // directory of the results
}

// Method is a recipe for pruning; what it leaves out is as prune has it.
type Method struct {
	Name       string `yaml:"name" json:"name"`             // in the table; required, one of its own
	Criterion  string `yaml:"criterion" json:"criterion"`   // default fisher
	Allocation string `yaml:"allocation" json:"allocation"` // default auto; global where uncoupled
	QKOrder    string `yaml:"qk_order" json:"qk_order"`     // default attention; score where uncoupled
	FFNOrder   string `yaml:"ffn_order" json:"ffn_order"`   // default refit; score where uncoupled
	Basis      string `yaml:"basis" json:"basis"`           // default data-svd; none where uncoupled
	Compensate string `yaml:"compensate" json:"compensate"` // default lsq; none where uncoupled
	Gains      *bool  `yaml:"gains" json:"gains"`           // default true; false where uncoupled
	Steps      int    `yaml:"steps" json:"steps"`           // rounds with evidence gathered anew; default 1
	Uncoupled  bool   `yaml:"uncoupled" json:"uncoupled"`   // the ablation: each matrix zeroes its own least rows
	Recover    bool   `yaml:"recover" json:"recover"`       // train after the cut, at the budgets of the recover section
	// With recover.tokens: the weight of the residual stream's error, default (0) 10, negative for none.
	Hidden  float64 `yaml:"hidden" json:"hidden,omitempty"`
	Scratch bool    `yaml:"scratch" json:"scratch,omitempty"` // forget the weights after the cut: only the shape is the method's
	// With recover.tokens: what the training after the cut learns from, see Learns; default parent.
	Learn string   `yaml:"learn" json:"learn,omitempty"`
	LR    float64  `yaml:"lr" json:"lr,omitempty"`       // highest learning rate of text and lora, default (0) recover.lr; of parent a share of each tensor's root mean square, default (0) as prune --recover
	Kinds []string `yaml:"kinds" json:"kinds,omitempty"` // kinds of units that may be removed; default the file's
	Slice bool     `yaml:"slice" json:"slice,omitempty"` // instead of removing units, rotate the residual stream and make it narrower (llama only)
}

// What the training after a cut learns from: the dense model (as prune --recover), or the text's
// next tokens, with all weights or with adapters of rank LoRARank beside them. The last two get as
// many operations as the first takes for its tokens.
const (
	LearnParent = "parent"
	LearnText   = "text"
	LearnLoRA   = "lora"

	LoRARank = 8
)

// Learns lists them.
func Learns() []string { return []string{LearnParent, LearnText, LearnLoRA} }

// Recover is training after the cut, for methods that ask for it. The dense model
// gets the same steps beside them.
type Recover struct {
	Steps   int      `yaml:"steps"`                    // optimizer steps; default 0, none
	Tokens  int64    `yaml:"tokens" json:",omitempty"` // tokens of training against the dense model, as prune --recover, instead of steps; default 0
	LR      float64  `yaml:"lr"`                       // highest learning rate, cosine to a tenth; default (0) a third of train.optim.lr
	Budgets []string `yaml:"budgets"`                  // at which of the budgets; default all
}

// DefaultCompare is the comparison file that says nothing.
func DefaultCompare() Compare {
	return Compare{Train: Default(), Seeds: []uint64{1}, Of: "prunable", Sequences: 256, TrialSequences: 16}
}

// LoadCompare reads a comparison file over the defaults, strictly, with
// key.path=value overrides, resolves and checks it.
func LoadCompare(path string, overrides []string) (Compare, error) {
	c := DefaultCompare()
	text, err := readFile(path)
	if err != nil {
		return c, err
	}
	if err = DecodeWith(text, overrides, &c); err == nil {
		c = c.Resolve()
		err = c.Validate()
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Resolve fills in the defaults that depend on other values.
func (c Compare) Resolve() Compare {
	if c.Model == "" {
		c.Model = c.Out + "/dense-{seed}"
	}
	if c.Recover.LR == 0 {
		c.Recover.LR = c.Train.Optim.LR / 3
	}
	if len(c.Recover.Budgets) == 0 {
		c.Recover.Budgets = c.Budgets
	}
	c.Methods = append([]Method(nil), c.Methods...)
	for i := range c.Methods {
		c.Methods[i] = c.Methods[i].resolve()
	}
	return c
}

func (m Method) resolve() Method {
	d, improve := coupled.DefaultConfig(), coupled.DefaultImprove()
	d.Allocation, d.QKOrder, d.FFNOrder = "auto", coupled.OrderAttention, coupled.OrderRefit
	if m.Uncoupled {
		d.Allocation, d.QKOrder, d.FFNOrder = "global", coupled.OrderScore, coupled.OrderScore
		improve = coupled.Improve{Basis: coupled.BasisNone, Compensate: coupled.CompensateNone}
	}
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&m.Criterion, d.Criterion}, {&m.Allocation, d.Allocation}, {&m.QKOrder, d.QKOrder}, {&m.FFNOrder, d.FFNOrder},
		{&m.Basis, improve.Basis}, {&m.Compensate, improve.Compensate},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if m.Learn == "" {
		m.Learn = LearnParent
	}
	if m.Gains == nil {
		m.Gains = &improve.Gains
	}
	if m.Steps == 0 {
		m.Steps = 1
	}
	return m
}

// Pruning is the method as configurations of package coupled, at one budget and
// seed. The method must be resolved.
func (c Compare) Pruning(m Method, budget string, seed uint64) (coupled.Config, coupled.Improve) {
	k, improve := coupled.DefaultConfig(), coupled.DefaultImprove()
	k.Target, k.Of, k.Criterion, k.Allocation, k.Seed = budget, c.Of, m.Criterion, m.Allocation, seed
	k.QKOrder, k.FFNOrder = m.QKOrder, m.FFNOrder
	k.Kinds = coupled.ToKinds(c.Kinds)
	if len(m.Kinds) > 0 {
		k.Kinds = coupled.ToKinds(m.Kinds)
	}
	improve.Basis, improve.Compensate, improve.Gains = m.Basis, m.Compensate, *m.Gains
	return k, improve
}

// Validate reports the first value that makes no sense, by key. The comparison
// must be resolved.
func (c Compare) Validate() error {
	switch {
	case c.Out == "":
		return refused("out is empty, expected the directory of the results (or give --out)")
	case c.Train.Out != "" || c.Train.Prune.Enabled():
		return refused("train.out and train.prune do not apply: the dense models are model, and whole")
	case len(c.Seeds) == 0 || len(c.Budgets) == 0 || len(c.Methods) == 0:
		return refused("seeds, budgets and methods have %d, %d and %d entries, expected at least one of each", len(c.Seeds), len(c.Budgets), len(c.Methods))
	case c.Sequences < 2 || c.TrialSequences < 1 || c.EvalTokens < 0 || c.Recover.Steps < 0 || !(c.Recover.LR > 0 && c.Recover.LR <= 10):
		return refused("sequences is %d, trial_sequences %d, eval_tokens %d, recover.steps %d, recover.lr %g; expected at least 2, 1, 0, 0 and above 0",
			c.Sequences, c.TrialSequences, c.EvalTokens, c.Recover.Steps, c.Recover.LR)
	case len(c.Seeds) > 1 && !strings.Contains(c.Model, "{seed}"):
		return refused("model is %q, expected {seed} in it where there are several seeds", c.Model)
	}
	if c.Recover.Tokens < 0 || c.Recover.Tokens > 0 && c.Recover.Steps > 0 {
		return refused("recover.tokens is %d and recover.steps %d, expected one of them", c.Recover.Tokens, c.Recover.Steps)
	}
	train := c.Train
	train.Out = c.Out
	if err := train.Validate(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := distinct("budgets", c.Budgets); err != nil {
		return err
	}
	for _, b := range c.Recover.Budgets {
		if !slices.Contains(c.Budgets, b) {
			return refused("recover.budgets has %q, expected some of budgets, %s", b, strings.Join(c.Budgets, ", "))
		}
	}
	var seeds []string
	for _, s := range c.Seeds {
		seeds = append(seeds, fmt.Sprint(s))
	}
	if err := distinct("seeds", seeds); err != nil {
		return err
	}
	return c.validateMethods()
}

// refused is an error of the file.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
}

// validateMethods checks each method at each budget.
func (c Compare) validateMethods() error {
	var names []string
	for i, m := range c.Methods {
		if m.Name == "" || m.Name == Dense {
			return refused("methods[%d].name is %q, expected a name other than %s", i, m.Name, Dense)
		}
		names = append(names, Slug(m.Name))
		if m.Steps < 1 {
			return refused("methods[%d], %s: steps is %d, expected 1 or more", i, m.Name, m.Steps)
		}
		if !slices.Contains(Learns(), m.Learn) || !(m.LR >= 0 && m.LR <= 10) {
			return refused("methods[%d], %s: learn is %q and lr %g, expected one of %s and 0 to 10", i, m.Name, m.Learn, m.LR, strings.Join(Learns(), ", "))
		}
		if c.Recover.Tokens == 0 && (m.Learn != LearnParent || m.LR != 0) || m.Learn == LearnParent && m.LR > 1 || m.Learn != LearnParent && m.Hidden != 0 {
			return refused("methods[%d], %s: learn %s with lr %g and hidden %g: text, lora and lr need recover.tokens, text and lora no hidden, parent an lr of 1 at most", i, m.Name, m.Learn, m.LR, m.Hidden)
		}
		if m.Slice && (m.Uncoupled || m.Scratch || c.Recover.Tokens > 0 && m.Recover && m.Learn == LearnParent && m.Hidden >= 0) {
			return refused("methods[%d], %s: slice excludes uncoupled and scratch, and learns from the parent with hidden -1 only: its residual stream is narrower", i, m.Name)
		}
		if c.Recover.Tokens > 0 && m.Recover && m.Uncoupled {
			return refused("methods[%d], %s: recover.tokens does not apply where uncoupled is true", i, m.Name)
		}
		if m.Uncoupled && (m.Basis != coupled.BasisNone || m.Compensate != coupled.CompensateNone || *m.Gains || m.Steps > 1) {
			return refused("methods[%d], %s: basis, compensate, gains and steps do not apply where uncoupled is true", i, m.Name)
		}
		for _, b := range c.Budgets {
			k, improve := c.Pruning(m, b, c.Seeds[0])
			err := k.Validate()
			if err == nil {
				err = improve.Validate()
			}
			if err != nil {
				return refused("methods[%d], %s, at %s: %v", i, m.Name, b, err)
			}
		}
	}
	return distinct("methods", names)
}

// Dense is the name of the row that every comparison has.
const Dense = "dense"

// Slug is a name as part of a file name: lower case letters, digits, and a hyphen
// for every run of anything else.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimSuffix(b.String(), "-")
}

// distinct refuses repetitions, which would be one result file.
func distinct(key string, names []string) error {
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			return fmt.Errorf("%w: %s has %s twice", ErrConfig, key, n)
		}
	}
	return nil
}
