package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

const (
	adapterConfig = "adapter_config.json"
	adapterSlab   = "adapters.f32"  // beside the model of a run
	adapterDir    = "adapter"       // of a run: adapters alone
	mergedDir     = "merged"        // of a run: adapters folded into the weights
	newestState   = "state/newest/" // of a run directory
)

// adapterFile is adapter_config.json.
type adapterFile struct {
	Base string     `json:"base_model_name_or_path,omitempty"` // model directory, for adapters alone
	LoRA train.LoRA `json:"lora"`
}

// adapterFiles are what a checkpoint holds of adapters.
func (j *job) adapterFiles() []checkpoint.File {
	if j.adapters == nil {
		return nil
	}
	return []checkpoint.File{checkpoint.JSONFile(adapterConfig, adapterFile{LoRA: j.run.LoRA}), checkpoint.SlabFile(adapterSlab, j.adapters.Set.Weights)}
}

// readAdapters reads the adapters that stand beside a model in a directory; nil when
// there are none.
func readAdapters(root *os.Root, set *param.Set) (*train.Adapters, error) {
	for _, at := range []string{"", newestState} {
		var f adapterFile
		err := checkpoint.ReadJSON(root, at+adapterConfig, &f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := f.LoRA.Validate(); err != nil || !f.LoRA.Enabled() {
			return nil, fmt.Errorf("%s: %s: expected a rank: %w", root.Name(), adapterConfig, err)
		}
		a, err := train.NewAdapters(set, f.LoRA, 0)
		if err != nil {
			return nil, err
		}
		if err := checkpoint.ReadSlab(root, at+adapterSlab, a.Set.Weights); err != nil {
			a.Set.Weights.Close()
			return nil, err
		}
		return a, nil
	}
	return nil, nil
}

// withAdapters folds the adapters of a directory into the model that was read from it.
func withAdapters(root *os.Root, set *param.Set) error {
	a, err := readAdapters(root, set)
	if err != nil || a == nil {
		return err
	}
	defer a.Set.Weights.Close()
	pool := kernel.NewPool(0)
	defer pool.Close()
	a.Merge(pool, set)
	return nil
}

// openAlone reads adapters that were saved alone together with the model that they
// are for. It returns nil when the directory holds none.
func openAlone(root *os.Root) (*loaded, error) {
	var f adapterFile
	err := checkpoint.ReadJSON(root, adapterConfig, &f)
	if errors.Is(err, fs.ErrNotExist) || err == nil && f.Base == "" {
		return nil, nil
	}
	if err == nil {
		err = f.LoRA.Validate()
	}
	if err != nil {
		return nil, fault.BadInput(fmt.Errorf("%s: %w", root.Name(), err))
	}
	base := f.Base
	if !filepath.IsAbs(base) {
		base = filepath.Join(root.Name(), base)
	}
	l, err := openBase(base)
	if err != nil {
		return nil, fmt.Errorf("the model of the adapters in %s: %w", root.Name(), err)
	}
	a, err := train.NewAdapters(l.set, f.LoRA, 0)
	if err == nil {
		defer a.Set.Weights.Close()
		err = checkpoint.ReadWeights(root, a.Set, model.AdapterTensors(a.Set), nil)
	}
	if err != nil {
		l.root.Close()
		return nil, fault.BadInput(err)
	}
	pool := kernel.NewPool(0)
	defer pool.Close()
	a.Merge(pool, l.set)
	return l, nil
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
	alone := checkpoint.Model{Config: nil}.Files(a, model.AdapterTensors(a), "F32")[1:]
	alone = append(alone, checkpoint.JSONFile(adapterConfig, adapterFile{Base: base, LoRA: j.run.LoRA}))
	if err := checkpoint.ReplaceDir(filepath.Join(j.run.Out, adapterDir), alone); err != nil {
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
