package prune

import (
	"runtime"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// orderChannels finds the removal order of feed-forward channels by refit, where the
// configuration asks for it and e has none yet. Like refit, one layer's second moments are there
// at a time; they are stored for the phases after it, where there is room. Layers with too many
// channels for the tokens of calibration are not looked at: they stay ordered by score.
func (p *Job) orderChannels(e *coupled.Evidence) error {
	if !p.Config.ByRefit(p.Improve) || e.OrderedByRefit(p.Set.Layers()-1) {
		return nil
	}
	c := p.Calibration
	c.Data, _, _ = p.split()
	wanted, last := make([]bool, p.Set.Layers()), -1
	said := OrderingChannels{Tokens: c.enough().tokens()}
	c.channels(func(layer, channels, _ int) {
		if need := coupled.TokensToOrder(channels); said.Tokens < need {
			said.ByScore, said.Need = said.ByScore+1, max(said.Need, need)
			e.OrderByScore(layer)
			return
		}
		wanted[layer], last = true, layer
		said.Layers++
	})
	p.tell(said)
	if last < 0 {
		return nil
	}
	return p.phase(PhaseOrder, func() error {
		m := c.newMoments(p.Improve, nil, last)
		defer m.Close()
		for layer := range last + 1 {
			seen, err := m.of(layer, wanted[layer])
			if err == nil && seen != nil {
				err = e.OrderByRefit(p.Set, seen, p.Improve.Ridge)
			}
			if seen != nil {
				seen.Close()
				seen = nil
				runtime.GC() // as in Trials.layer
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// orderFLOPs is the operations of ordering the channels of all layers that have tokens enough,
// without those of their moments; 0 where none has.
func (c *Calibration) orderFLOPs() (n int64) {
	tokens := c.enough().tokens()
	c.channels(func(_, channels, width int) {
		if tokens >= coupled.TokensToOrder(channels) {
			n += coupled.OrderFLOPs(channels, width)
		}
	})
	return n
}

// channels calls each with the feed-forward channels of every layer and the columns of what
// reads them, in the order of layers.
func (c *Calibration) channels(each func(layer, channels, width int)) {
	for _, g := range coupled.Groups(c.Set) {
		if g.Kind == coupled.FFN {
			each(g.Layer, g.Units, c.width())
		}
	}
}
