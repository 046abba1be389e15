package train

import (
	"errors"
	"fmt"
)

// Teacher is the teacher section of a run file: distillation from another model over
// the same vocabulary (https://arxiv.org/abs/1503.02531).
type Teacher struct {
	Model       string  `yaml:"model"`       // model or run directory of the teacher; default none: nothing is distilled
	Copy        bool    `yaml:"copy"`        // of a run that prunes, pretrain's too: the teacher is the model as it was before the first pruning event, from that step on; default false
	Temperature float64 `yaml:"temperature"` // divides both models' logits; default 2
	Weight      float64 `yaml:"weight"`      // weight of the teacher's part of the loss, 0 to 1; the data's part has the rest; default 0.5
}

// DefaultTeacher is a run file without a teacher section.
func DefaultTeacher() Teacher { return Teacher{Temperature: 2, Weight: 0.5} }

// Enabled reports whether there is a teacher from the first step on.
func (c Teacher) Enabled() bool { return c.Model != "" }

// Validate reports the first value that makes no sense, by key.
func (c Teacher) Validate() error {
	if c.Copy && c.Enabled() {
		return errors.New("teacher.copy is true with teacher.model " + c.Model + ": expected one of them")
	}
	if !(c.Temperature >= 0.1 && c.Temperature <= 100) {
		return fmt.Errorf("teacher.temperature is %g, expected 0.1 to 100", c.Temperature)
	}
	if !(c.Weight > 0 && c.Weight <= 1) {
		return fmt.Errorf("teacher.weight is %g, expected above 0 to 1", c.Weight)
	}
	return nil
}
