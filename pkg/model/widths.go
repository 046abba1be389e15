package model

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// Widths is what is left of one layer's coupled dimensions.
type Widths struct {
	KV  int `json:"kv"`  // key/value heads
	QK  int `json:"qk"`  // qk units a head (rotation pairs under RoPE)
	VO  int `json:"vo"`  // vo units a head
	FFN int `json:"ffn"` // hidden channels
}

// Kept is the "ecospa" object of config.json: what Hugging Face's keys cannot say.
type Kept struct {
	HeadDim int       `json:"head_dim"`              // of the dense model: its softmax scale is 1/sqrt(HeadDim)
	Dense   int       `json:"dense_params"`          // parameters before any pruning
	Layers  []Widths  `json:"layers"`                // present widths
	From    []int     `json:"layers_from,omitempty"` // where whole layers are gone, the dense model's number of each that is left
	Pairs   [][][]int `json:"pairs,omitempty"`       // under RoPE: [layer][K/V head] the dense model's rotation pairs that are left
}

// from is the layers that are left; nil is all.
func (k *Kept) from() []int {
	if k == nil {
		return nil
	}
	return k.From
}

// check reports what cannot be, given the architecture.
func (k *Kept) check(a *Arch) error {
	layers := a.Layers
	if k.From != nil {
		layers = len(k.From)
	}
	for i, l := range k.From {
		if l < 0 || l >= a.Layers || i > 0 && l <= k.From[i-1] {
			return fmt.Errorf("ecospa.layers_from has %d in place %d, expected ascending numbers below %d", l, i, a.Layers)
		}
	}
	if len(k.Layers) != layers || layers == 0 {
		return fmt.Errorf("ecospa.layers has %d entries, expected %d", len(k.Layers), max(1, layers))
	}
	a = a.only(k.From)
	for i, w := range k.Layers {
		dense := a.dense(i)
		for _, v := range []struct {
			key   string
			x, hi int
		}{{"kv", w.KV, dense.KV}, {"qk", w.QK, dense.QK}, {"vo", w.VO, dense.VO}, {"ffn", w.FFN, dense.FFN}} {
			if v.x < 1 || v.x > v.hi {
				return fmt.Errorf("ecospa.layers[%d].%s is %d, expected 1 to %d", i, v.key, v.x, v.hi)
			}
		}
	}
	if k.Pairs != nil && len(k.Pairs) != layers {
		return fmt.Errorf("ecospa.pairs has %d layers, expected %d", len(k.Pairs), layers)
	}
	return nil
}

// Layer is the present widths of layer i of a set.
func Layer(set *param.Set, i int) Widths {
	d := func(kind param.Kind) int { return set.LayerDim(i, kind).Size }
	return Widths{KV: d(param.KV), QK: d(param.QK), VO: d(param.VO), FFN: d(param.FFN)}
}

// dim names a coupled dimension, "layer.3.qk", or a parameter of a layer.
func dim(layer int, kind string) string { return param.InLayer(layer, kind) }

// KeptOf describes the present shapes of set, a model's parameters.
func KeptOf(m Model, set *param.Set) *Kept { return keptOf(set, m.Arch(), count(m.DenseSpecs())) }

// keptOf describes the present shapes of set.
func keptOf(set *param.Set, a *Arch, dense int) *Kept {
	k := &Kept{HeadDim: a.HeadDim, Dense: dense}
	if from := set.LayerOrigin(); len(from) < a.Layers {
		k.From = from
	}
	a = a.only(k.From)
	for i := range a.Layers {
		k.Layers = append(k.Layers, Layer(set, i))
		if a.Rope != nil {
			k.Pairs = append(k.Pairs, set.Origin(dim(i, "qk"))) // nil where the layer does not turn
		}
	}
	return k
}

// restore tells a set which layers and which rotation pairs it still has, each below the
// dense model's limit.
func restore(set *param.Set, kept *Kept, limit int) error {
	if kept == nil {
		return nil
	}
	if kept.From != nil {
		if err := set.SetLayerOrigin(kept.From); err != nil {
			return fmt.Errorf("ecospa.layers_from: %w", err)
		}
	}
	for i, of := range kept.Pairs {
		if of == nil && !set.LayerDim(i, param.QK).Track {
			continue
		}
		for _, l := range of {
			if len(l) > 0 && l[len(l)-1] >= limit {
				return fmt.Errorf("ecospa.pairs[%d] has pair %d, expected below %d", i, l[len(l)-1], limit)
			}
		}
		if err := set.SetOrigin(dim(i, "qk"), of); err != nil {
			return fmt.Errorf("ecospa.pairs[%d]: %w", i, err)
		}
	}
	return nil
}

// count is the number of parameters of specs.
func count(specs []param.Spec) int {
	n := 0
	for _, s := range specs {
		n += s.Size()
	}
	return n
}

// LayerParams is the number of parameters of each layer of a set.
func LayerParams(set *param.Set) []int {
	var out []int
	for _, p := range set.Params {
		layer := p.Layer
		if layer == param.Outside {
			continue
		}
		for len(out) <= layer {
			out = append(out, 0)
		}
		out[layer] += p.Size()
	}
	return out
}
