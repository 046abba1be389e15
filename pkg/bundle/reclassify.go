package bundle

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Reclassify gives an image classifier a new last layer for other classes, drawn by
// seed; every other weight stays. It returns the names of the new parameters.
func (b *Bundle) Reclassify(classes []string, seed uint64) (made []string, err error) {
	old, ok := b.Model.(model.Classifier)
	if !ok {
		return nil, fault.Usage(fmt.Errorf("%s: a new classifier is for image models, this one is a text model", b.Path))
	}
	if err := b.Set.Float32(); err != nil {
		return nil, fault.Usage(err)
	}
	m, err := old.Reclassify(classes)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	fresh, err := param.New(m.Specs())
	if err != nil {
		return nil, fault.BadInput(err)
	}
	fresh.Init(seed)
	for _, p := range fresh.Params {
		if slices.ContainsFunc(p.Dims, func(d param.Dim) bool { return d.Name == model.ClassesDim }) {
			made = append(made, p.Name)
			continue
		}
		was := b.Set.Param(p.Name)
		copy(fresh.Weights.Data[p.Offset:][:p.Size()], b.Set.Weights.Data[was.Offset:][:was.Size()])
	}
	b.Set.Weights.Close()
	b.Model, b.Set = m, fresh
	return made, nil
}
