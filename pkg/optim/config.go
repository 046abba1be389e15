package optim

import (
	"fmt"
	"math"
)

// Config is the optim section of a run file.
type Config struct {
	Name        string  `yaml:"name"`            // the optimizer: adamw (default), apollo (rows of matrices by gradients scaled as adamw would, see rank; a few numbers a row instead of 8 bytes a weight), muon (matrices by orthogonalised momentum, the rest by adamw; takes 4 bytes less a weight) or sgd (momentum beta1)
	LR          float64 `yaml:"lr"`              // highest learning rate; default 1e-3
	MinLR       float64 `yaml:"min_lr"`          // learning rate at the last step; default (-1) a tenth of lr
	WarmUp      Span    `yaml:"warm_up"`         // linear warm-up from 0: steps, or a percentage of all steps (3%); default (-1) 2 % of the steps, but at least 20 steps or, in a short run, a fifth of them
	Schedule    string  `yaml:"schedule"`        // after the warm-up: cosine (default), linear, constant, wsd (constant, and a fall in the last fifth), or cosine-cooldown (cosine to min_lr, and from there to 0 in the last fifth)
	WeightDecay float64 `yaml:"weight_decay"`    // decoupled, on matrices only (no norms, biases, embeddings); default 0.1
	Beta1       float64 `yaml:"beta1"`           // decay of the first moment; default 0.9
	Beta2       float64 `yaml:"beta2"`           // decay of the second moment; default 0.95
	HalfLife    float64 `yaml:"beta2_half_life"` // half-life of the second moment in tokens, instead of beta2, which makes it independent of the batch size (https://arxiv.org/abs/2507.07101); default (0) beta2
	Eps         float64 `yaml:"eps"`             // added to the square root of the second moment; default 1e-8
	Clip        float64 `yaml:"clip"`            // largest global gradient norm; default 1; 0 disables clipping
	Moments     string  `yaml:"moments"`         // type of adamw's two moments: f32 (default), or bf16: half the memory, rounded stochastically
	InBackward  bool    `yaml:"in_backward"`     // update each block of weights during the backward pass, as soon as its gradient is there: no memory for all gradients. A step is one pass (micro_batch is batch); clip uses the larger of the last step's norm and the block's own; default false
	Rank        int     `yaml:"rank"`            // apollo: numbers that each moment keeps per row; default 8
	Seed        uint64  `yaml:"seed"`            // seed of apollo's projections, and of rounding if train.weights is bf16; default 1
}

// Default is the configuration of a run file without an optim section.
func Default() Config {
	return Config{Name: "adamw", LR: 1e-3, MinLR: -1, WarmUp: Steps(-1), Schedule: "cosine", WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Clip: 1, Moments: "f32", Rank: 8, Seed: 1}
}

// PerStep is the configuration for steps of so many tokens: Beta2 by HalfLife where that is given.
func (c Config) PerStep(tokens int) Config {
	if c.HalfLife > 0 {
		c.Beta2 = math.Exp2(-float64(tokens) / c.HalfLife)
	}
	return c
}

// Resolve fills in the defaults that depend on the number of steps.
func (c Config) Resolve(steps int) Config {
	if c.MinLR < 0 {
		c.MinLR = c.LR / 10
	}
	warm, err := c.WarmUp.Of(steps)
	if err != nil {
		panic("optim: Resolve of a Config that was not validated")
	}
	if warm < 0 {
		warm = max(steps/50, min(20, steps/5))
	}
	c.WarmUp = Steps(warm)
	return c
}

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	for _, v := range []struct {
		key       string
		x, lo, hi float64
	}{
		{"lr", c.LR, 1e-12, 10}, {"min_lr", c.MinLR, -1, c.LR}, {"weight_decay", c.WeightDecay, 0, 10},
		{"beta1", c.Beta1, 0, 0.9999999}, {"beta2", c.Beta2, 0, 0.9999999}, {"eps", c.Eps, 1e-30, 1}, {"beta2_half_life", c.HalfLife, 0, 1e15}, {"clip", c.Clip, 0, 1e12},
	} {
		if !(v.x >= v.lo && v.x <= v.hi) {
			return fmt.Errorf("optim.%s is %g, expected %g to %g", v.key, v.x, v.lo, v.hi)
		}
	}
	if c.MinLR < 0 && c.MinLR != -1 {
		return fmt.Errorf("optim.min_lr is %g, expected 0 to %g", c.MinLR, c.LR)
	}
	if _, err := c.WarmUp.Of(0); err != nil {
		return fmt.Errorf("optim.warm_up is %w", err)
	}
	if c.Rank < 1 || c.Rank > 4096 {
		return fmt.Errorf("optim.rank is %d, expected 1 to 4096", c.Rank)
	}
	if c.Moments != "" && c.Moments != "f32" && c.Moments != "bf16" {
		return fmt.Errorf("optim.moments is %q, expected f32 or bf16", c.Moments)
	}
	if _, err := lookup(rules, "name", c.Name); err != nil {
		return err
	}
	if c.BF16Moments() && c.Name != "adamw" {
		return fmt.Errorf("optim.moments is %q with optim.name %s: only adamw keeps its moments so", c.Moments, c.Name)
	}
	_, err := lookup(shapes, "schedule", c.Schedule)
	return err
}

// BF16Moments reports whether the moments are kept as bfloat16.
func (c Config) BF16Moments() bool { return c.Moments == "bf16" }
