package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

// of is the architecture of the layers that a set still has; a itself where none is gone.
func (a *Arch) of(set *param.Set) *Arch { return a.only(set.LayerOrigin()) }

// only is the architecture of some of the layers, which ascend; nil is all.
func (a *Arch) only(from []int) *Arch {
	if from == nil || len(from) == a.Layers {
		return a
	}
	b := *a
	b.Layers, b.Rope, b.Windows = len(from), pick(a.Rope, from), pick(a.Windows, from)
	b.BareFirst = a.BareFirst && len(from) > 0 && from[0] == 0
	if !slices.ContainsFunc(b.Windows, func(w int) bool { return w > 0 }) {
		b.Windows = nil
	}
	return &b
}

// pick is the elements of a list that has one for each layer, nil of nil.
func pick[T any](list []T, from []int) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(from))
	for i, l := range from {
		out[i] = list[l]
	}
	return out
}

// Present is the model that a set is now as far as whole layers go: one whose config.json has
// only the layers that the set still has, for other programs.
func (m *text) Present(set *param.Set) (Model, error) {
	from := set.LayerOrigin()
	if m.a.BareFirst && len(from) > 0 && from[0] != 0 {
		return nil, fmt.Errorf("layer 0 is gone, which has no norm before attention: other programs know no %s whose first layer has one", m.family)
	}
	k, err := m.copyKeys()
	if err != nil {
		return nil, err
	}
	k.layers(from)
	config, err := writeConfig(k, m.extraOf(from), nil)
	if err != nil {
		return nil, err
	}
	n, err := Parse(config)
	if err != nil {
		return nil, fmt.Errorf("the model without the layers that are gone: %w", err)
	}
	n.Arch().Pooler, n.Arch().Pooling = m.a.Pooler, m.a.Pooling // files beside config.json say them
	return n, nil
}

// extraOf is the keys that the family does not read, of some layers.
func (m *text) extraOf(from []int) rawObject {
	out := maps.Clone(m.extra)
	for _, key := range []string{"layer_types", "no_rope_layers"} {
		var list []any
		if json.Unmarshal(out[key], &list) == nil && len(list) == m.a.Layers {
			if text, err := json.Marshal(pick(list, from)); err == nil {
				out[key] = text
			}
		}
	}
	return out
}
