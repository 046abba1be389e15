package model

import (
	"encoding/json"
	"fmt"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// text is what decoders and encoders share: a family's keys of config.json, and the
// architecture that they set.
type text struct {
	family  string
	fresh   func() keys // with the family's defaults
	a       *Arch
	keys    keys
	kept    *Kept
	unknown []string
	extra   rawObject // keys of config.json that the family does not read
}

// texts are the families of decoders and encoders.
var texts = map[string]func() keys{}

// registerText registers a family by its model_type; defaults makes keys with the
// values that stand for keys which config.json lacks.
func registerText(name string, defaults func() keys, wrap func(text) Model) {
	texts[name] = defaults
	register(name, family{
		parse: func(config []byte) (Model, error) {
			m := text{family: name, fresh: defaults, keys: defaults()}
			var err error
			if m.unknown, m.extra, err = readConfig(config, m.keys); err == nil {
				err = m.finish("config.json: %w")
			}
			if err != nil {
				return nil, err
			}
			return wrap(m), nil
		},
		new: func(s Sizes) (Model, error) {
			m := text{family: name, fresh: defaults, keys: defaults()}
			err := m.keys.sized(s)
			if err == nil {
				err = m.finish("model.%w")
			}
			if err != nil {
				return nil, err
			}
			return wrap(m), nil
		},
	})
}

// finish makes the architecture from the keys.
func (m *text) finish(format string) (err error) {
	if m.a, err = m.keys.arch(); err == nil {
		m.kept, *m.keys.own() = *m.keys.own(), nil // it is written anew
		if m.kept != nil {
			err = m.kept.check(m.a)
		}
	}
	if err != nil {
		return fmt.Errorf(format, err)
	}
	return nil
}

func (m *text) Family() string           { return m.family }
func (m *text) Arch() *Arch              { return m.a }
func (m *text) Context() int             { return m.a.Positions }
func (m *text) Vocab() int               { return m.a.Vocab }
func (m *text) Scale() float64           { return m.a.Scale }
func (m *text) UnknownKeys() []string    { return m.unknown }
func (m *text) Table() *Table            { return m.keys.table() }
func (m *text) Specs() []param.Spec      { return m.a.only(m.kept.from()).specs(m.a.widths(m.kept)) }
func (m *text) DenseSpecs() []param.Spec { return m.a.specs(m.a.widths(nil)) }

func (m *text) Restore(set *param.Set) error {
	return restore(set, m.kept, m.a.HeadDim/2)
}

// Frequencies implements Rotary.
func (m *text) Frequencies(set *param.Set, layer int) [][]float64 {
	return m.a.of(set).frequencies(set, layer, false)
}

func (m *text) Tensors(set *param.Set) []checkpoint.Tensor { return m.keys.table().HF(set) }

// Config writes the sizes of the dense model: the "ecospa" object has the present ones.
func (m *text) Config(set *param.Set) ([]byte, error) {
	k := keptOf(set, m.a, count(m.DenseSpecs()))
	return writeConfig(m.keys, m.extra, k)
}

// Shaped is config.json for a uniform model of this shape, as a map.
func (m *text) Shaped(s Shape) (map[string]any, error) {
	k, err := m.copyKeys()
	if err != nil {
		return nil, err
	}
	k.shaped(s)
	config, err := writeConfig(k, m.extra, nil)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(config, &out)
}

// copyKeys is a copy of the keys, by way of their JSON.
func (m *text) copyKeys() (keys, error) {
	config, err := json.Marshal(m.keys)
	if err != nil {
		return nil, err
	}
	k := m.fresh()
	return k, json.Unmarshal(config, k)
}
