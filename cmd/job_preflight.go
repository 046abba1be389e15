package cmd

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// afford compares what the run plans to take with the memory and the disk that
// there are, before it takes any of it. resident is what of the plan is in memory
// already. --force makes a refusal a note.
func (j *job) afford(shapes *param.Set, resident int64) error {
	m, err := train.Footprint(j.own(), j.run.Optim, j.run.LoRA, j.m, shapes, j.run.Prune.Enabled())
	if err != nil {
		return fault.Usage(err)
	}
	free, by, known := available()
	if known && m.Total() > free+resident {
		err = fmt.Errorf("training this model takes %s (weights %s, gradients %s, moments %s, activations %s), but %s has %s left; make train.micro_batch or the model smaller, or try all the same with --force",
			units.Bytes(m.Total()), units.Bytes(m.Weights), units.Bytes(m.Gradients), units.Bytes(m.Moments), units.Bytes(m.Activations), by, units.Bytes(free+resident))
	} else {
		err = j.room(shapes)
	}
	if err != nil && j.force {
		fmt.Fprintf(j.log, "note: %s\n", oneLine(err))
		return nil
	}
	return err
}

// own is the train section as it is for one rank.
func (j *job) own() train.Config {
	c := j.run.Train
	c.Batch = max(1, c.Batch/j.ranks.Size())
	c.MicroBatch = min(c.MicroBatch, c.Batch)
	return c
}

// available is the machine's memory; tests have others.
var available = sysmem.Available

// room compares the free disk with what the run's checkpoints need: weights and
// two moments each, as many at a time as the policy has.
func (j *job) room(shapes *param.Set) error {
	if !j.ranks.lead() {
		return nil
	}
	there, err := checkpoint.Checkpoints(j.run.Out)
	if err != nil {
		return err
	}
	if j.over {
		there = nil
	}
	most := j.run.Checkpoint.Most(j.run.Train.Steps)
	one := 4*int64(shapes.Count()) + optim.StateBytes(shapes, j.run.Optim)
	need := one * int64(max(1, most-len(there)))
	if _, err := checkpoint.Room(j.run.Out, need); err != nil {
		return fmt.Errorf("%w (%d of %s at a time); lower checkpoint.keep_last or keep fewer for good, or try all the same with --force", err, most, units.Bytes(one))
	}
	return nil
}
