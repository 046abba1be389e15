package model

import (
	"encoding/json"
	"fmt"
)

// keys are a family's keys of config.json, a pointer to a struct of them.
type keys interface {
	// arch is the switches that the keys set; an error names the key.
	arch() (*Arch, error)
	// table is the family's table; it may depend on the keys.
	table() *Table
	// sized sets the keys from the model section of a run file.
	sized(Sizes) error
	// shaped sets the sizes that one layer of a uniform model has, for other programs.
	shaped(Shape)
	// own is the "ecospa" object.
	own() **Kept
}

// Shape is that of every layer of a model in a format that has one for all.
type Shape struct {
	KV, HeadDim, FFN int
	// Factors divide the frequencies theta^(-2j/HeadDim); nil when all are 1.
	Factors []float64
	// Narrowed says that HeadDim is not the dense model's.
	Narrowed bool
}

// endKeys are the keys that every decoder's config.json ends with.
type endKeys struct {
	BOS    *int    `json:"bos_token_id"`
	EOS    *eosIDs `json:"eos_token_id"`
	Ecospa *Kept   `json:"ecospa,omitempty"`
}

func (k *endKeys) own() **Kept { return &k.Ecospa }

var decoders = map[string]func() keys{}

// registerDecoder registers a family by its model_type; defaults makes keys with the
// values that stand for keys which config.json lacks.
func registerDecoder(name string, defaults func() keys) {
	decoders[name] = defaults
	register(name, family{
		parse: func(config []byte) (Model, error) {
			k := defaults()
			unknown, extra, err := readConfig(config, k)
			if err != nil {
				return nil, err
			}
			m := &decoder{family: name, keys: k, unknown: unknown, extra: extra}
			return m, m.finish("config.json: %w")
		},
		new: func(s Sizes) (Model, error) {
			m := &decoder{family: name, keys: defaults()}
			if err := m.keys.sized(s); err != nil {
				return nil, err
			}
			return m, m.finish("model.%w")
		},
	})
}

// finish makes the architecture from the keys.
func (m *decoder) finish(format string) (err error) {
	if m.a, err = m.keys.arch(); err == nil {
		m.kept, *m.keys.own() = *m.keys.own(), nil // it is written anew
		if m.kept != nil {
			err = m.kept.check(m.a)
		}
	}
	if err != nil {
		return fmt.Errorf(format, err)
	}
	m.a.Causal = true
	return nil
}

// copyKeys is a copy of the keys, by way of their JSON.
func (m *decoder) copyKeys() (keys, error) {
	text, err := json.Marshal(m.keys)
	if err != nil {
		return nil, err
	}
	k := decoders[m.family]()
	return k, json.Unmarshal(text, k)
}

// Shaped is config.json for a uniform model of this shape, as a map.
func (m *decoder) Shaped(s Shape) (map[string]any, error) {
	k, err := m.copyKeys()
	if err != nil {
		return nil, err
	}
	k.shaped(s)
	text, err := writeConfig(k, m.extra, nil)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}
