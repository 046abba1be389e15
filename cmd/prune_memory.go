package cmd

import (
	"fmt"

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
		byteCount(m.Total()), byteCount(4*int64(p.src.set.Len())), byteCount(m.Gradients), byteCount(m.Activations), byteCount(m.Evidence))
	if free, by, known := available(); known && m.Total() > free {
		return fmt.Errorf("pruning this model takes %s (gradients %s, activations %s, evidence %s), but %s has %s left; give a shorter --context, or --basis none with --compensate none",
			byteCount(m.Total()), byteCount(m.Gradients), byteCount(m.Activations), byteCount(m.Evidence), by, byteCount(free))
	}
	return nil
}
