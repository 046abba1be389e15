package cmd

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/prune"
)

// afford says what the calibration takes and refuses it where that is not there.
func (p *pruning) afford(pr *prune.Pruner) error {
	m, err := pr.Memory()
	if err != nil {
		return err
	}
	if p.Scores != "" {
		m = prune.Memory{Evidence: m.Evidence} // no pass
	}
	p.say("memory    %s beside weights of %s: gradients %s, activations %s, evidence %s",
		units.Bytes(m.Total()), units.Bytes(4*int64(p.src.set.Len())), units.Bytes(m.Gradients), units.Bytes(m.Activations), units.Bytes(m.Evidence))
	if free, by, known := available(); known && m.Total() > free {
		return fmt.Errorf("pruning this model takes %s (gradients %s, activations %s, evidence %s), but %s has %s left; give a shorter --context, or --basis none with --compensate none",
			units.Bytes(m.Total()), units.Bytes(m.Gradients), units.Bytes(m.Activations), units.Bytes(m.Evidence), by, units.Bytes(free))
	}
	return nil
}
