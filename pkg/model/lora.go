package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// LoRA is the lora section of a run file: low-rank adapters
// (https://arxiv.org/abs/2106.09685) beside frozen weights.
type LoRA struct {
	Rank    int      `yaml:"rank"`    // rank of each adapter; default (0) no adapters: all weights are trained
	Alpha   float64  `yaml:"alpha"`   // an adapter's product is scaled by alpha / rank; default (0) twice the rank
	Targets []string `yaml:"targets"` // matrices that get adapters: attention (q, k, v and o), ffn; default both
}

// Targets of adapters.
const (
	TargetAttention = "attention" // q, k and v as one matrix, and o
	TargetFFN       = "ffn"       // the two sides of the feed-forward network
)

// DefaultLoRA is a run file without a lora section.
func DefaultLoRA() LoRA { return LoRA{} }

// Enabled reports whether adapters are trained.
func (c LoRA) Enabled() bool { return c.Rank > 0 }

// Scale multiplies an adapter's product.
func (c LoRA) Scale() float64 {
	if c.Alpha == 0 {
		return 2
	}
	return c.Alpha / float64(c.Rank)
}

// Has reports whether a target is asked for.
func (c LoRA) Has(target string) bool {
	return len(c.Targets) == 0 || slices.Contains(c.Targets, target)
}

// Validate reports the first value that makes no sense, by key.
func (c LoRA) Validate() error {
	if c.Rank < 0 || c.Rank > 4096 {
		return fmt.Errorf("lora.rank is %d, expected 0 (none) to 4096", c.Rank)
	}
	if !(c.Alpha >= 0 && c.Alpha <= 1e6) {
		return fmt.Errorf("lora.alpha is %g, expected 0 (twice the rank) to 1e6", c.Alpha)
	}
	if c.Rank == 0 && (c.Alpha != 0 || len(c.Targets) > 0) {
		return fmt.Errorf("lora.alpha and lora.targets need lora.rank, the rank of the adapters")
	}
	for _, t := range c.Targets {
		if t != TargetAttention && t != TargetFFN {
			return fmt.Errorf("lora.targets names %q, expected %s", t, strings.Join([]string{TargetAttention, TargetFFN}, " or "))
		}
	}
	return nil
}

// Adapters are low-rank adapters of a model, trained while its weights stay.
type Adapters struct {
	Set   *param.Set // see AdapterSpecs
	Scale float32    // of their products
}

// NewAdapters makes adapters for a model as it is; their products are 0.
func NewAdapters(set *param.Set, c LoRA, seed uint64) (*Adapters, error) {
	a, err := param.New(c.Specs(set))
	if err != nil {
		return nil, err
	}
	a.Init(seed)
	return &Adapters{a, float32(c.Scale())}, nil
}

// Specs are the parameters of the adapters for a model.
func (c LoRA) Specs(set *param.Set) []param.Spec {
	return AdapterSpecs(set, c.Rank, c.Has(TargetAttention), c.Has(TargetFFN))
}

// Merge adds the adapters to the weights, for good.
func (a *Adapters) Merge(pool *kernel.Pool, set *param.Set) { Merge(pool, set, a.Set, a.Scale) }
