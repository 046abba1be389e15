package cmd

import (
	"path/filepath"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

const (
	adapterDir = "adapter" // of a run: adapters without their model
	mergedDir  = "merged"  // of a run: adapters folded into the weights
)

// adapterFiles are what a checkpoint holds of adapters.
func (j *job) adapterFiles() []checkpoint.File {
	if j.adapters == nil {
		return nil
	}
	return bundle.AdapterFiles(j.adapters, j.run.LoRA)
}

// settleAdapters writes the adapters alone, folds them into the weights, and where it
// is asked for writes the model that comes out.
func (j *job) settleAdapters(merge bool) error {
	if j.adapters == nil {
		return nil
	}
	base := ".." // the run's own model: the one that it began with is larger
	if j.pruner == nil {
		abs, err := filepath.Abs(j.run.From)
		if err != nil {
			return err
		}
		base = abs
	}
	a := j.adapters.Set
	if err := checkpoint.ReplaceDir(filepath.Join(j.run.Out, adapterDir), bundle.AdapterDir(j.adapters, j.run.LoRA, base)); err != nil {
		return err
	}
	j.adapters.Merge(j.pool, j.set)
	clear(a.Weights.Data) // they are in the weights now
	if !merge {
		return nil
	}
	files, err := j.modelFiles()
	if err != nil {
		return err
	}
	return checkpoint.ReplaceDir(filepath.Join(j.run.Out, mergedDir), files)
}

// modelFiles is the model as it is, as a directory's files.
func (j *job) modelFiles() ([]checkpoint.File, error) {
	config, err := j.m.Config(j.set)
	if err != nil {
		return nil, err
	}
	var tok []byte
	if j.tok != nil {
		if tok, err = j.tok.JSON(); err != nil {
			return nil, err
		}
	}
	return checkpoint.Model{Config: config, Tokenizer: tok}.Files(j.set, j.m.Tensors(j.set), "F32"), nil
}
