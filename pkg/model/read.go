package model

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// ReadShapes reads the model in a directory without its weights: the set has no storage.
func ReadShapes(root checkpoint.Root) (Model, *param.Set, error) {
	files, err := checkpoint.ReadModel(root)
	if err != nil {
		return nil, nil, err
	}
	m, err := Parse(files.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", root.Name(), err)
	}
	if v, ok := m.(*vit); ok && files.Preprocessor != nil {
		if err := v.preprocess(files.Preprocessor); err != nil {
			return nil, nil, fmt.Errorf("%s: preprocessor_config.json: %w", root.Name(), err)
		}
	}
	if e, ok := m.(*encoder); ok && !e.a.MaskedLM && m.Table().has(param.Pooler) {
		if e.a.Pooler, err = checkpoint.Has(root, "pooler.dense.weight", "bert.pooler.dense.weight"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", root.Name(), err)
	}
	if err := m.Restore(set); err != nil {
		return nil, nil, fmt.Errorf("%s: config.json: %w", root.Name(), err)
	}
	return m, set, nil
}

// Read reads the model in a directory with its weights. The caller closes the
// set's weights.
func Read(root checkpoint.Root) (Model, *param.Set, error) {
	m, set, err := ReadShapes(root)
	if err != nil {
		return nil, nil, err
	}
	if err := checkpoint.ReadWeights(root, set, m.Tensors(set), Ignorable); err != nil {
		if set.Weights != nil {
			set.Weights.Close()
		}
		return nil, nil, err
	}
	return m, set, nil
}
