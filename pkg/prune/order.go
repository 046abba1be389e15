package prune

import (
	"runtime"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// orderChannels finds the removal order of feed-forward channels by refit, where the
// configuration asks for it and e has none yet. Like refit, one layer's second moments are there
// at a time; they are stored for the phases after it, where there is room.
func (p *Job) orderChannels(e *coupled.Evidence) error {
	if !p.Config.ByRefit(p.Improve) || e.OrderedByRefit(p.Set.Layers()-1) {
		return nil
	}
	p.tell(OrderingChannels{p.Set.Layers()})
	return p.phase(PhaseOrder, func() error {
		c := p.Calibration
		c.Data, _, _ = p.split()
		m := c.newMoments(p.Improve, nil, p.Set.Layers()-1)
		defer m.Close()
		for layer := range p.Set.Layers() {
			seen, err := m.of(layer, true)
			if err == nil {
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

// orderFLOPs is the operations of ordering the channels of all layers, without those of their
// moments.
func (c *Calibration) orderFLOPs() (n int64) {
	c.channels(func(channels, width int) { n += coupled.OrderFLOPs(channels, width) })
	return n
}

// channels calls each with the feed-forward channels of every layer and the columns of what
// reads them.
func (c *Calibration) channels(each func(channels, width int)) {
	for _, g := range coupled.Groups(c.Set) {
		if g.Kind == coupled.FFN {
			each(g.Units, c.width())
		}
	}
}
