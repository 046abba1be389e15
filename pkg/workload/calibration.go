package workload

import (
	"fmt"
	"strconv"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// SetCalibration sets what has words beside numbers: sequences is "auto" or a number of at
// least 1, recompute "auto" or how much of a forward pass is computed again, weights the
// type in which they are kept meanwhile, empty for the model's own.
func (p *Pruning) SetCalibration(sequences, recompute, weights string) (err error) {
	if p.Sequences = 0; sequences != "auto" {
		if p.Sequences, err = strconv.Atoi(sequences); err != nil || p.Sequences < 1 {
			return fmt.Errorf("--sequences is %q, expected auto or a number of at least 1", sequences)
		}
	}
	if p.Recompute = graph.KeepAll; recompute != "auto" {
		if p.Recompute, err = graph.ParseRecompute(recompute); err != nil || p.Recompute == graph.KeepAll {
			return fmt.Errorf("--recompute is %q, expected auto, light, attention or layer", recompute)
		}
	}
	if p.Open.Weights = ""; weights != "" {
		if p.Open.Weights, err = param.ParseDType(weights); err != nil {
			return fmt.Errorf("--weights: %w", err)
		}
	}
	return nil
}
