package coupled

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Config is the prune section of a run file.
type Config struct {
	Target       string           `yaml:"target"`        // what is kept: "0.45x", "27M", "1.3B" or a count; empty (default) with no other target: nothing is pruned
	Of           string           `yaml:"of"`            // what target counts: all (default) parameters, or the prunable ones
	TargetMemory string           `yaml:"target_memory"` // largest memory in bytes ("2GiB"), instead of target
	Ratio        map[Kind]float64 `yaml:"ratio"`         // share of each kind's units that is REMOVED, 0 to 1, instead of target
	Kinds        []Kind           `yaml:"kinds"`         // kinds of units that may be removed: qk, vo, ffn, head, layer; default [qk, vo, ffn]; with ratio, those it names
	Criterion    string           `yaml:"criterion"`     // how units are scored; default fisher
	QKOrder      string           `yaml:"qk_order"`      // which qk units are removed first: score (default), interactions or attention (rotation pairs only, others by score)
	FFNOrder     string           `yaml:"ffn_order"`     // which ffn units are removed first: score (default), or refit where improve.compensate is lsq, else by score
	Allocation   string           `yaml:"allocation"`    // how the budget is divided among groups; default global
	Evaluations  int              `yaml:"evaluations"`   // most loss evaluations of the allocation sensitivity; default 256
	Layout       string           `yaml:"layout"`        // per-head (default), per-layer, one-head or uniform: see Layouts
	RoundTo      int              `yaml:"round_to"`      // widths of pruned matrices become multiples of this many rows; default 1
	Round        map[Kind]int     `yaml:"-" json:"-"`    // multiples of rows by kind, where RoundTo is 1: what the types of a format ask for
	MinKeep      int              `yaml:"min_keep"`      // least number of units kept per head or layer; default 1
	Floor        float64          `yaml:"floor"`         // least share of its present units that every group keeps at an event, 0 to 1 (0.5 in four events: a sixteenth); default 0
	SkipLayers   []int            `yaml:"skip_layers"`   // layers that are not pruned, counted from 0; default none
	Seed         uint64           `yaml:"seed"`          // seed of the random criterion; default 1
	Start        float64          `yaml:"start"`         // share of the steps at the first pruning event; default 0.1
	End          float64          `yaml:"end"`           // share of the steps at the last one; default 0.5
	Events       int              `yaml:"events"`        // pruning events; default 4
	Ramp         string           `yaml:"ramp"`          // cubic (default), linear or one-shot
	HalfLife     float64          `yaml:"half_life"`     // half-life of evidence in steps, since weights change; 0: evidence does not decay; default 50
	Calibration  int              `yaml:"calibration"`   // sequences of training text for a calibration pass at each pruning event; default 0: use the evidence of the training steps
	Improve      Improve          `yaml:"improve"`       // at the events of a run with calibration; default: basis none, compensate none, no gains
}

// DefaultConfig is the configuration of a run file without a prune section.
func DefaultConfig() Config {
	return Config{
		Of: "all", Criterion: "fisher", QKOrder: OrderScore, FFNOrder: OrderScore, Allocation: "global", Evaluations: 256, Layout: LayoutPerHead,
		RoundTo: 1, MinKeep: 1, Seed: 1, Start: 0.1, End: 0.5, Events: 4, Ramp: "cubic", HalfLife: 50,
		Improve: Improve{Basis: BasisNone, Compensate: CompensateNone, Ridge: DefaultRidge},
	}
}

// Enabled reports whether there is a target at all.
func (c Config) Enabled() bool {
	return c.Target != "" || c.TargetMemory != "" || len(c.Ratio) > 0
}

// Schedule is when the run prunes.
func (c Config) Schedule() Schedule {
	return Schedule{Start: c.Start, End: c.End, Events: c.Events, Ramp: c.Ramp}
}

// Options is the evidence that the configuration asks for. scale is what
// multiplies q.k before the softmax (see Options.Scale).
func (c Config) Options(scale float64) Options {
	o := Options{Scale: scale}
	if crit := criteria[c.Criterion]; crit != nil {
		needs := crit.Needs()
		o.Squares, o.Activations, o.Kinds = needs.Squares, needs.Activations, needs.Kinds
	}
	if c.QKOrder == OrderInteractions {
		o.Interactions = []Kind{QK}
	}
	o.Gains = c.QKOrder == OrderAttention
	o.WholeLayers = hasKind(c.kinds(), Layer)
	return o
}

// ByRefit reports whether feed-forward channels are ordered by refit, with these improvements
// of a cut: plans then need Evidence.OrderByRefit.
func (c Config) ByRefit(m Improve) bool {
	return c.FFNOrder == OrderRefit && m.Compensate == CompensateLSQ && hasKind(c.kinds(), FFN)
}

// kinds are the kinds that may go.
func (c Config) kinds() []Kind {
	if len(c.Ratio) > 0 {
		var out []Kind
		for _, k := range Kinds() {
			if _, ok := c.Ratio[k]; ok {
				out = append(out, k)
			}
		}
		return out
	}
	if len(c.Kinds) > 0 {
		return c.Kinds
	}
	return []Kind{QK, VO, FFN}
}

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	if err := c.validateTarget(); err != nil {
		return err
	}
	names := make([]string, len(c.Kinds))
	for i, k := range c.Kinds {
		names[i] = string(k)
	}
	if _, err := ParseKinds(names); err != nil {
		return fmt.Errorf("prune.kinds: %w", err)
	}
	crit, err := CriterionByName(c.Criterion)
	if err != nil {
		return fmt.Errorf("prune.criterion: %w", err)
	}
	if hasKind(c.kinds(), Layer) && !ScoresLayers(crit) {
		return fmt.Errorf("prune.criterion %s does not score whole layers, which kind layer needs: expected one of %s", c.Criterion, strings.Join(layerCriteria(), ", "))
	}
	if !slices.Contains(QKOrders(), c.QKOrder) {
		return fmt.Errorf("prune.qk_order is %q, expected one of %s", c.QKOrder, strings.Join(QKOrders(), ", "))
	}
	if !slices.Contains(FFNOrders(), c.FFNOrder) {
		return fmt.Errorf("prune.ffn_order is %q, expected one of %s", c.FFNOrder, strings.Join(FFNOrders(), ", "))
	}
	if c.QKOrder == OrderInteractions && c.Criterion != "fisher" {
		return fmt.Errorf("prune.qk_order interactions needs prune.criterion fisher, found %s", c.Criterion)
	}
	if _, err := allocationByName(c.Allocation); err != nil {
		return fmt.Errorf("prune.allocation: %w", err)
	}
	if c.Evaluations < 1 {
		return fmt.Errorf("prune.evaluations is %d, expected 1 or more", c.Evaluations)
	}
	if !slices.Contains(Layouts(), c.Layout) {
		return fmt.Errorf("prune.layout is %q, expected one of %s", c.Layout, strings.Join(Layouts(), ", "))
	}
	if c.oneHead(QK) && len(c.SkipLayers) > 0 {
		return fmt.Errorf("prune.layout %s gives all layers the same widths, but prune.skip_layers is %v", c.Layout, c.SkipLayers)
	}
	if c.RoundTo < 1 || c.RoundTo > 1<<16 {
		return fmt.Errorf("prune.round_to is %d rows, expected 1 to %d", c.RoundTo, 1<<16)
	}
	if c.MinKeep < 1 {
		return fmt.Errorf("prune.min_keep is %d units, expected 1 or more", c.MinKeep)
	}
	if !(c.Floor >= 0 && c.Floor <= 1) {
		return fmt.Errorf("prune.floor is %g, expected a share, 0 to 1", c.Floor)
	}
	if !(c.HalfLife >= 0 && c.HalfLife < 1e12) {
		return fmt.Errorf("prune.half_life is %g steps, expected 0 or more", c.HalfLife)
	}
	if c.Calibration < 0 || c.Calibration == 1 {
		return fmt.Errorf("prune.calibration is %d sequences, expected 0 or at least 2", c.Calibration)
	}
	if err := c.Improve.Validate(); err != nil {
		return fmt.Errorf("prune.improve.%w", err)
	}
	return c.Schedule().Validate()
}

func (c Config) validateTarget() error {
	given := 0
	for _, g := range []bool{c.Target != "", c.TargetMemory != "", len(c.Ratio) > 0} {
		if g {
			given++
		}
	}
	if given > 1 {
		return fmt.Errorf("prune.target, prune.target_memory and prune.ratio exclude each other, found %d of them", given)
	}
	if _, err := ParseTarget(c.Target); err != nil {
		return fmt.Errorf("prune.%w", err)
	}
	if c.TargetMemory != "" {
		if _, err := ParseBytes(c.TargetMemory); err != nil {
			return fmt.Errorf("prune.target_%w", err)
		}
	}
	if c.Of != "all" && c.Of != "prunable" {
		return fmt.Errorf("prune.of is %q, expected all or prunable", c.Of)
	}
	var ratios []string
	for k := range c.Ratio {
		ratios = append(ratios, string(k))
	}
	sort.Strings(ratios)
	if _, err := ParseKinds(ratios); err != nil {
		return fmt.Errorf("prune.ratio: %w", err)
	}
	for _, k := range ratios {
		if r := c.Ratio[Kind(k)]; !(r >= 0 && r < 1) {
			return fmt.Errorf("prune.ratio.%s is %g, expected the share removed, 0 or more and below 1", k, r)
		}
	}
	if len(c.Ratio) > 0 && len(c.Kinds) > 0 {
		return fmt.Errorf("prune.kinds is %s, but prune.ratio names its kinds itself", joinKinds(c.Kinds))
	}
	return nil
}
