package coupled

import (
	"errors"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// linear is a footprint of so many bytes and so many a parameter.
func linear(constant, each int64) Footprint {
	return func(s *param.Set) (int64, error) { return constant + each*int64(s.Count()), nil }
}

// TestMemoryMetWithinOneUnit: under every allocation that needs no losses the plan
// fits, and with the smallest step given back it would not.
func TestMemoryMetWithinOneUnit(t *testing.T) {
	set := gpt.set(t)
	fill := Scores{}
	for _, g := range Groups(set) {
		for l := range g.Lists {
			fill[g.Dim] = append(fill[g.Dim], make([]float64, g.Units))
			for u := range g.Units {
				fill[g.Dim][l][u] = float64((u*7+l*3+g.Layer)%11) + 1
			}
		}
	}
	dense, least := int64(set.Count()), int64(0)
	p, err := newProblem(Request{Set: set, Config: configOf(func(*Config) {})})
	if err != nil {
		t.Fatal(err)
	}
	least = int64(p.least())
	for _, allocation := range []string{"uniform", "global"} {
		for _, params := range []int64{least, (2*least + dense) / 3, (least + dense) / 2, dense} {
			const each, constant = 12, 5000
			c := configOf(func(c *Config) { c.Allocation = allocation })
			plan, err := MakePlan(Request{Set: set, Config: c, Budget: Budget{Bytes: constant + each*params}, Scores: fill, Footprint: linear(constant, each)})
			if err != nil {
				t.Fatal(err)
			}
			// The greedy walk stops with its first step past a bound, which may be one of
			// the widest cluster; the search adds up to one of the narrowest.
			widest := 0
			for _, g := range Groups(set) {
				widest = max(widest, g.Step())
			}
			if n := int64(plan.After); n > params || n < params-int64(widest+p.finest()) {
				t.Errorf("%s: %d parameters fit, the plan has %d", allocation, params, n)
			}
		}
	}
}

func TestMemoryOutOfReach(t *testing.T) {
	set := gpt.set(t)
	_, err := configOf(func(c *Config) { c.TargetMemory = "2000" }).Goal(set, linear(5000, 4))
	if !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "can be reached") {
		t.Errorf("memory below the constant gave %v", err)
	}
	if _, err := configOf(func(c *Config) { c.TargetMemory = "2000" }).Goal(set, nil); err == nil {
		t.Error("a memory target without a plan of the memory was accepted")
	}
	if g, err := configOf(func(c *Config) { c.TargetMemory = "2GB" }).Goal(set, linear(5000, 4)); err != nil || g.Params != set.Count() {
		t.Errorf("memory for more than the model has gave %+v, %v", g, err)
	}
}
