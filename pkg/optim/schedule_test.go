package optim

import (
	"math"
	"testing"
)

func TestRate(t *testing.T) {
	c := Config{LR: 1, MinLR: 0.1, WarmUp: 10, Schedule: "cosine"}
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
		func(c *Config) { c.WarmUp = -2 }, func(c *Config) { c.Schedule = "step" }, func(c *Config) { c.WeightDecay = -1 },
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
