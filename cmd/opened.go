package cmd

import (
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// loaded is a bundle under the names that jobs and experiments still use.
type loaded struct {
	*bundle.Bundle
	root closer // closed already
	m    model.Model
	set  *param.Set
	tok  tokenizer.Tokenizer // nil when the directory has none
}

type closer struct{}

func (closer) Close() error { return nil }

// openModel opens a bundle; the caller closes its set's weights.
func openModel(dir string) (*loaded, error) {
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		return nil, err
	}
	return &loaded{Bundle: b, m: b.Model, set: b.Set, tok: b.Tokenizer}, nil
}
