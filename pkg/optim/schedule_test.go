package optim

import (
	"math"
	"testing"
)

func TestRate(t *testing.T) {
	c := Config{LR: 1, MinLR: 0.1, WarmUp: Steps(10), Schedule: "cosine"}
	for _, tc := range []struct {
		step int
		want float64
	}{{1, 0.1}, {5, 0.5}, {10, 1}, {60, 0.55}, {110, 0.1}} {
		if got := c.Rate(tc.step, 110); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("cosine rate at step %d is %g, expected %g", tc.step, got, tc.want)
		}
	}
	c.Schedule = "linear"
	if got := c.Rate(35, 110); math.Abs(got-0.775) > 1e-12 {
		t.Errorf("linear rate is %g, expected 0.775", got)
	}
	c.Schedule = "constant"
	if got := c.Rate(110, 110); got != 1 {
		t.Errorf("constant rate is %g, expected 1", got)
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, edit := range []func(*Config){
		func(c *Config) { c.LR = 0 }, func(c *Config) { c.MinLR = 2 }, func(c *Config) { c.MinLR = -0.5 },
		func(c *Config) { c.Beta1 = 1 }, func(c *Config) { c.Beta2 = math.NaN() }, func(c *Config) { c.Clip = -1 },
		func(c *Config) { c.WarmUp = Steps(-2) }, func(c *Config) { c.Schedule = "step" }, func(c *Config) { c.WeightDecay = -1 },
	} {
		c := Default()
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		edit(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
}

// TestSpan: steps, percentages of a run, the default, and what is neither.
func TestSpan(t *testing.T) {
	for s, want := range map[Span]int{"": 0, "0": 0, "30": 30, "-1": -1, "3%": 6, "2.5 %": 5, "100%": 200, "0%": 0} {
		if got, err := s.Of(200); err != nil || got != want {
			t.Errorf("%q of 200 steps is %d (%v), expected %d", s, got, err, want)
		}
	}
	for _, s := range []Span{"-2", "some", "101%", "-3%", "%", "1.5", "NaN%"} {
		if n, err := s.Of(200); err == nil {
			t.Errorf("%q is %d steps", s, n)
		}
	}
	c := Config{LR: 1, MinLR: 0, WarmUp: "10%", Schedule: "constant"}
	if got := c.Resolve(50); got.WarmUp != "5" || c.Rate(1, 50) != 0.2 || c.Rate(6, 50) != 1 {
		t.Errorf("a warm-up of %s: rates %g and %g", got.WarmUp, c.Rate(1, 50), c.Rate(6, 50))
	}
}

func TestHalfLife(t *testing.T) {
	c := Config{Beta2: 0.95, HalfLife: 1e6}
	if b := c.PerStep(1000).Beta2; math.Abs(math.Pow(b, 1000)-0.5) > 1e-9 {
		t.Errorf("after a million tokens in steps of a thousand %g is left", math.Pow(b, 1000))
	}
	if c.HalfLife = 0; c.PerStep(1000).Beta2 != 0.95 {
		t.Error("beta2 changed without a half-life")
	}
}

func TestCooldown(t *testing.T) {
	c := Config{LR: 1, MinLR: 0.1, WarmUp: Steps(10), Schedule: "cosine-cooldown"}
	for step, want := range map[int]float64{5: 0.5, 10: 1, 50: 0.55, 90: 0.1, 100: 0.05, 110: 0} {
		if got := c.Rate(step, 110); math.Abs(got-want) > 1e-9 {
			t.Errorf("rate at step %d is %g, expected %g", step, got, want)
		}
	}
}
