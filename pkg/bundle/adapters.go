package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

const (
	adapterConfig = "adapter_config.json"
	adapterSlab   = "adapters.f32"      // beside the model of a run
	newestState   = "state/newest/"     // of a run directory
	frozenWeights = "model.safetensors" // of adapters without their model
)

// adapterFile is adapter_config.json of adapters beside their model, or in a checkpoint
// of adapters only (FrozenFiles). Directories of adapters for others are PEFT's (AdapterDir).
type adapterFile struct {
	Base string     `json:"base_model_name_or_path,omitempty"` // model directory, for adapters without their model
	LoRA model.LoRA `json:"lora"`
}

// AdapterFiles are the files of adapters that stand beside their model.
func AdapterFiles(a *model.Adapters, c model.LoRA) []checkpoint.File {
	return []checkpoint.File{checkpoint.JSONFile(adapterConfig, adapterFile{LoRA: c}), checkpoint.SlabFile(adapterSlab, a.Set.Weights)}
}

// FrozenFiles are the files of a checkpoint of adapters whose model never changes: the
// adapters, and the model's directory, base, an absolute path.
func FrozenFiles(a *model.Adapters, c model.LoRA, base string) []checkpoint.File {
	tensors := model.AdapterTensors(a.Set)
	weights := checkpoint.File{Name: frozenWeights, Model: true, Write: func(w io.Writer) error {
		return checkpoint.WriteWeights(w, a.Set, tensors, "F32")
	}}
	weights.Size, _ = checkpoint.WeightsSize(a.Set, tensors, "F32") // a layout that does not fit is reported when it is written
	config := checkpoint.JSONFile(adapterConfig, adapterFile{Base: base, LoRA: c})
	config.Model = true
	return []checkpoint.File{config, weights}
}

// ReadAdapters reads the adapters that stand beside a model in a directory; nil when
// there are none.
func ReadAdapters(root checkpoint.Root, set *param.Set) (*model.Adapters, model.LoRA, error) {
	for _, at := range []string{"", newestState} {
		f, err := readAdapterFile(root, at+adapterConfig)
		if err != nil {
			return nil, model.LoRA{}, err
		}
		if f == nil {
			continue
		}
		a, err := model.NewAdapters(set, f.LoRA, 0)
		if err != nil {
			return nil, f.LoRA, err
		}
		if err := checkpoint.ReadSlab(root, at+adapterSlab, a.Set.Weights); err != nil {
			a.Set.Weights.Close()
			return nil, f.LoRA, err
		}
		return a, f.LoRA, nil
	}
	return nil, model.LoRA{}, nil
}

// adapterText reads an adapter_config.json, nil when there is none, and says whether PEFT
// wrote it.
func adapterText(root checkpoint.Root, name string) (text []byte, peft bool, err error) {
	text, err = checkpoint.ReadBytes(root, name, maxAdapterConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	peft, err = ofPEFT(text)
	return text, peft, wrong(filepath.Join(root.Name(), name), err)
}

// readAdapterFile reads an adapter_config.json; nil when there is none.
func readAdapterFile(root checkpoint.Root, name string) (*adapterFile, error) {
	text, peft, err := adapterText(root, name)
	if err != nil || text == nil || peft { // readPEFT reads those
		return nil, err
	}
	var f adapterFile
	if err := checkpoint.ReadJSON(root, name, &f); err != nil {
		return nil, err
	}
	if err := f.LoRA.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root.Name(), name), err)
	}
	if !f.LoRA.Enabled() {
		return nil, fmt.Errorf("%w: %s: lora.rank is missing, expected the rank of the adapters", checkpoint.ErrFormat, filepath.Join(root.Name(), name))
	}
	return &f, nil
}

// adapt reads the adapters beside the model and folds them in or keeps them.
func (b *Bundle) adapt(dir *folder.Dir, o Options) (err error) {
	if b.Adapters, b.LoRA, err = ReadAdapters(dir, b.Set); err != nil || b.Adapters == nil || o.KeepAdapters {
		return err
	}
	b.fold()
	return nil
}

// fold adds the adapters to the weights and gives them up.
func (b *Bundle) fold() {
	pool := kernel.NewPool(0)
	defer pool.Close()
	b.Adapters.Merge(pool, b.Set)
	b.Adapters.Set.Weights.Close()
	b.Adapters = nil
}

// openBase opens the model that a directory of adapters names.
func openBase(adapters *folder.Dir, base string, o Options) (b *Bundle, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the model of the adapters in %s: %w", adapters.Name(), err)
		}
	}()
	dir, err := folder.Open(base)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return openModel(dir, o)
}

// openAdapters reads a directory of adapters together with the model that they name.
func openAdapters(dir *folder.Dir, f *adapterFile, o Options) (*Bundle, error) {
	base := f.Base
	if !filepath.IsAbs(base) {
		base = filepath.Join(dir.Name(), base)
	}
	b, err := openBase(dir, base, o)
	if err != nil {
		return nil, err
	}
	b.Path, b.LoRA = dir.Name(), f.LoRA
	if o.ShapesOnly {
		return b, nil
	}
	if b.Adapters, err = model.NewAdapters(b.Set, f.LoRA, 0); err == nil {
		err = checkpoint.ReadWeights(dir, b.Adapters.Set, model.AdapterTensors(b.Adapters.Set), nil)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	if !o.KeepAdapters {
		b.fold()
	}
	return b, nil
}
