package run

import (
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

const (
	adapterDir = "adapter" // of a run: the adapters without the model
	mergedDir  = "merged"  // of a run: the model with the adapters folded in
)

// frozen reports whether the run trains adapters beside weights that are stored as another
// type than float32: they stay as they were read, and checkpoints hold the adapters only.
func (j *Job) frozen() bool { return j.cfg.LoRA.Enabled() && j.cfg.Train.DType() != param.F32 }

// modelFiles is what a checkpoint holds of the model: adapters stand beside it.
func (j *Job) modelFiles() ([]checkpoint.File, error) {
	if j.frozen() {
		base, err := filepath.Abs(j.cfg.From)
		return bundle.FrozenFiles(j.bundle.Adapters, j.cfg.LoRA, base), err
	}
	files, err := j.bundle.Files("F32")
	if a := j.bundle.Adapters; err == nil && a != nil {
		files = append(files, bundle.AdapterFiles(a, j.cfg.LoRA)...)
	}
	return files, err
}

// attachAdapters makes the loop train adapters: those of the checkpoint that is gone
// on from, or new ones.
func (j *Job) attachAdapters(saved *state) (err error) {
	if !j.cfg.LoRA.Enabled() {
		return nil
	}
	if saved == nil {
		if j.bundle.Adapters, err = model.NewAdapters(j.bundle.Set, j.cfg.LoRA, j.cfg.Train.Seed); err != nil {
			return err
		}
	}
	if j.bundle.Adapters == nil {
		return errNoAdapters(saved.dir)
	}
	j.loop.Adapt(j.bundle.Adapters)
	return nil
}

// finishAdapters writes the adapters without the model, folds them into the weights,
// and where it is asked for writes the model that results.
func (j *Job) finishAdapters() error {
	a := j.bundle.Adapters
	if a == nil {
		return nil
	}
	base := ".." // the run's own model: the one that it began with is larger
	if j.pruner == nil {
		abs, err := filepath.Abs(j.cfg.From)
		if err != nil {
			return err
		}
		base = abs
	}
	alone, err := j.bundle.AdapterDir(a, base)
	if err != nil {
		return err
	}
	_, text := j.bundle.Model.(model.Decoder)
	if text && !slices.ContainsFunc(alone, func(f checkpoint.File) bool { return f.Name == bundle.AdapterGGUF }) {
		j.tell(Note(bundle.AdapterGGUF + " is not written: llama.cpp needs whole heads of attention in a family that it knows, and one rank; " + adapterDir + " has PEFT's files"))
	}
	if err := checkpoint.ReplaceDir(filepath.Join(j.cfg.Out, adapterDir), alone); err != nil {
		return err
	}
	if j.frozen() {
		return nil
	}
	a.Merge(j.pool, j.bundle.Set)
	clear(a.Set.Weights.Data) // they are in the weights now
	if !j.Merge {
		return nil
	}
	files, err := j.bundle.Files("F32")
	if err != nil {
		return err
	}
	return checkpoint.ReplaceDir(filepath.Join(j.cfg.Out, mergedDir), files)
}
