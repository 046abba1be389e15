package coupled

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

func init() { registerAllocation(auto{}) }

// auto makes the plan by every other allocation and keeps the one whose cut has
// the lowest loss on held calibration data (Request.Held); the trials are
// recorded in the plan. Equal losses keep the earlier of uniform, global, sensitivity. Where
// whole layers may go with other kinds, sensitivity without them is tried too.
type auto struct{}

func (auto) name() string { return "auto" }

func (auto) widths(p *problem) (map[string]int, error) {
	if p.Held == nil {
		return nil, fmt.Errorf("%w: the allocation auto needs a loss on held calibration data, and there is none here", ErrEvidence)
	}
	if err := p.reachable(); err != nil {
		return nil, err
	}
	tried := []allocation{uniform{}, global{}, sensitivity{}}
	if hasKind(p.Config.kinds(), Layer) && len(p.Config.kinds()) > 1 {
		if n := (narrow{}); n.reachable(p) {
			tried = append(tried, n)
		}
	}
	var widths []map[string]int
	var cuts []param.Cut
	for _, a := range tried {
		width, err := p.fit(a)
		if err != nil {
			return nil, fmt.Errorf("try %s: %w", a.name(), err)
		}
		widths, cuts = append(widths, width), append(cuts, p.cut(width))
	}
	losses, err := p.Held(cuts)
	if err != nil {
		return nil, fmt.Errorf("measure the losses of %d plans: %w", len(cuts), err)
	}
	var best map[string]int
	least := math.Inf(1)
	for i, a := range tried {
		p.trials = append(p.trials, Trial{a.name(), losses[i]})
		if losses[i] < least {
			best, least = widths[i], losses[i]
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: no allocation has a finite loss: %v", ErrEvidence, p.trials)
	}
	return best, nil
}

// narrow is sensitivity where no whole layer goes. It is one of auto's trials only.
type narrow struct{}

func (narrow) name() string { return "sensitivity of widths" }

func (narrow) widths(p *problem) (map[string]int, error) {
	p.widthsOnly = true
	defer func() { p.widthsOnly = false }()
	return sensitivity{}.widths(p)
}

// reachable reports whether widths by themselves reach the budget.
func (narrow) reachable(p *problem) bool {
	p.widthsOnly = true
	defer func() { p.widthsOnly = false }()
	_, counted := p.Budget.Units[Layer]
	return !counted && p.reachable() == nil
}
