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
	HeadDim int       `json:"head_dim"`        // of the dense model: its softmax scale is 1/sqrt(HeadDim)
	Dense   int       `json:"dense_params"`    // parameters before any pruning
	Layers  []Widths  `json:"layers"`          // present widths
	Pairs   [][][]int `json:"pairs,omitempty"` // under RoPE: [layer][K/V head] the dense model's rotation pairs that are left
}

// check reports what cannot be, given the dense widths.
func (k *Kept) check(layers int, dense Widths) error {
	if len(k.Layers) != layers {
		return fmt.Errorf("ecospa.layers has %d entries, expected %d", len(k.Layers), layers)
	}
	for i, w := range k.Layers {
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

// widths is every layer's widths: what kept says, or the dense ones.
func widths(kept *Kept, layers int, dense Widths) []Widths {
	if kept != nil {
		return kept.Layers
	}
	w := make([]Widths, layers)
	for i := range w {
		w[i] = dense
	}
	return w
}

// Layer is the present widths of layer i of a set.
func Layer(set *param.Set, i int) Widths {
	d := func(kind string) int { return set.Dim(dim(i, kind)).Size }
	return Widths{KV: d("kv"), QK: d("qk"), VO: d("vo"), FFN: d("ffn")}
}

// dim names a coupled dimension, "layer.3.qk", or a parameter of a layer.
func dim(layer int, kind string) string { return fmt.Sprintf("layer.%d.%s", layer, kind) }

// keptOf describes the present shapes of set.
func keptOf(set *param.Set, layers, headDim, dense int, pairs bool) *Kept {
	k := &Kept{HeadDim: headDim, Dense: dense}
	for i := range layers {
		k.Layers = append(k.Layers, Layer(set, i))
		if pairs {
			k.Pairs = append(k.Pairs, set.Origin(dim(i, "qk")))
		}
	}
	return k
}

// restorePairs tells a set which rotation pairs it still has, each below the
// dense model's limit.
func restorePairs(set *param.Set, kept *Kept, limit int) error {
	if kept == nil {
		return nil
	}
	for i, of := range kept.Pairs {
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
		var layer int
		if _, err := fmt.Sscanf(p.Name, "layer.%d.", &layer); err != nil {
			continue
		}
		for len(out) <= layer {
			out = append(out, 0)
		}
		out[layer] += p.Size()
	}
	return out
}
