package coupled

import (
	"fmt"
	"math"
)

func init() { registerAllocation(auto{}) }

// auto makes the plan by every other allocation and keeps the one whose cut has
// the lowest loss on held calibration data (Request.Held); the trials are
// recorded in the plan. Equal losses keep the earlier of uniform, global, sensitivity.
type auto struct{}

func (auto) name() string { return "auto" }

func (auto) widths(p *problem) (map[string]int, error) {
	if p.Held == nil {
		return nil, fmt.Errorf("%w: the allocation auto needs a loss on held calibration data, and there is none here", ErrEvidence)
	}
	if err := p.reachable(); err != nil {
		return nil, err
	}
	var best map[string]int
	least := math.Inf(1)
	for _, a := range []allocation{uniform{}, global{}, sensitivity{}} {
		width, err := p.fit(a)
		if err != nil {
			return nil, fmt.Errorf("try %s: %w", a.name(), err)
		}
		loss, err := p.Held(p.cut(width))
		if err != nil {
			return nil, fmt.Errorf("try %s: %w", a.name(), err)
		}
		p.trials = append(p.trials, Trial{a.name(), loss})
		if loss < least {
			best, least = width, loss
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: no allocation has a finite loss: %v", ErrEvidence, p.trials)
	}
	return best, nil
}
