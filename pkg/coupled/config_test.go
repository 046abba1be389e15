package coupled

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	for s, want := range map[string]Target{
		"": {}, "0.45x": {Fraction: 0.45}, "1X": {Fraction: 1}, "27M": {Params: 27000000}, "1.3B": {Params: 1300000000},
		"450k": {Params: 450000}, "1000": {Params: 1000}, " 2 M ": {Params: 2000000},
	} {
		if got, err := ParseTarget(s); err != nil || got != want {
			t.Errorf("ParseTarget(%q) is %+v, %v, expected %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"x", "0x", "1.1x", "-1M", "NaNx", "infx", "M", "1T", "1e9", "0", "0x1p4", "1_000", "9999999999B", "0.6", "1", ".5"} {
		if got, err := ParseTarget(s); err == nil {
			t.Errorf("ParseTarget(%q) is %+v, expected an error", s, got)
		}
	}
	for s, want := range map[string]int64{"2GiB": 2 << 30, "500MB": 5e8, "1.5kb": 1500, "77": 77} {
		if got, err := ParseBytes(s); err != nil || got != want {
			t.Errorf("ParseBytes(%q) is %d, %v, expected %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GiB", "0", "-2GB", "2 floppies"} {
		if got, err := ParseBytes(s); err == nil {
			t.Errorf("ParseBytes(%q) is %d, expected an error", s, got)
		}
	}
}

func TestGoal(t *testing.T) {
	set := gpt.set(t)
	dense, prunable := set.Count(), Prunable(set)
	for name, tc := range map[string]struct {
		edit func(c *Config)
		want int
	}{
		"of all":      {func(c *Config) { c.Target = "0.6x" }, int(math.Round(0.6 * float64(dense)))},
		"of prunable": {func(c *Config) { c.Target, c.Of = "0.6x", "prunable" }, dense - prunable + int(math.Round(0.6*float64(prunable)))},
		"count":       {func(c *Config) { c.Target = "1000" }, 1000},
		"prunable n":  {func(c *Config) { c.Target, c.Of = "900", "prunable" }, dense - prunable + 900},
	} {
		g, err := configOf(tc.edit).Goal(set, linear(5000, 12))
		if err != nil || g.Params != tc.want || g.Dense != dense {
			t.Errorf("%s: goal is %+v, %v, expected %d of %d", name, g, err, tc.want, dense)
		}
	}
	g := Goal{Dense: 1000, Params: 400}
	if b := g.At(0.5); b.Params != 700 {
		t.Errorf("half of the way is %d parameters, expected 700", b.Params)
	}
}

func TestGoalOutOfReach(t *testing.T) {
	set := gpt.set(t)
	for _, target := range []string{"0.01x", "1B", "10"} {
		_, err := configOf(func(c *Config) { c.Target = target }).Goal(set, nil)
		if !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "can be reached") {
			t.Errorf("%s: error is %v, expected ErrBudget with the range", target, err)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for says, edit := range map[string]func(c *Config){
		"prune.target":        func(c *Config) { c.Target = "half" },
		"prune.target_memory": func(c *Config) { c.TargetMemory = "much" },
		"exclude each other":  func(c *Config) { c.Target, c.TargetMemory = "0.5x", "1GB" },
		"prune.of":            func(c *Config) { c.Of = "some" },
		"prune.ratio.qk":      func(c *Config) { c.Ratio = map[Kind]float64{QK: 1} },
		"prune.ratio":         func(c *Config) { c.Ratio = map[Kind]float64{"mlp": 0.5} },
		"prune.kinds":         func(c *Config) { c.Kinds = []Kind{"mlp"} },
		"prune.kinds is":      func(c *Config) { c.Kinds, c.Ratio = []Kind{QK}, map[Kind]float64{QK: 0.5} },
		"prune.criterion":     func(c *Config) { c.Criterion = "best" },
		"prune.qk_order":      func(c *Config) { c.QKOrder = "alphabet" },
		"prune.ffn_order":     func(c *Config) { c.FFNOrder = "alphabet" },
		"needs prune.criter":  func(c *Config) { c.QKOrder, c.Criterion = OrderInteractions, "taylor" },
		"prune.allocation":    func(c *Config) { c.Allocation = "fair" },
		"prune.evaluations":   func(c *Config) { c.Evaluations = 0 },
		"prune.layout":        func(c *Config) { c.Layout = "square" },
		"prune.skip_layers":   func(c *Config) { c.Layout, c.SkipLayers = LayoutUniform, []int{1} },
		"prune.round_to":      func(c *Config) { c.RoundTo = 0 },
		"prune.min_keep":      func(c *Config) { c.MinKeep = 0 },
		"prune.floor":         func(c *Config) { c.Floor = math.NaN() },
		"prune.half_life":     func(c *Config) { c.HalfLife = -1 },
		"prune.end":           func(c *Config) { c.Start, c.End = 0.5, 0.2 },
	} {
		if err := configOf(edit).Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error is %v, expected one that names %s", err, says)
		}
	}
	if _, err := newProblem(Request{Set: gpt.set(t), Config: configOf(func(c *Config) { c.SkipLayers = []int{7} })}); err == nil {
		t.Error("a layer that does not exist was skipped")
	}
}
