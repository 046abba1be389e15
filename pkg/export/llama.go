package export

import "github.com/ecospa/ecospa/pkg/checkpoint"

// llamaNames are a format's names of a llama's tensors: "%d" is the layer.
type llamaNames struct {
	embed, norm, head          string
	norm1, norm2               string
	q, k, v, o, gate, up, down string
	weight, bias               string // suffixes
	halves                     bool   // order of a rotated head's rows
}

// llama lists a llama's tensors in the shape of the fit.
func (s *source) llama(f *fit, n llamaNames) []checkpoint.Stream {
	out := []checkpoint.Stream{stacked(n.embed+n.weight, s.whole("embed"))}
	add := func(t checkpoint.Stream) { out = append(out, t) }
	for i := range s.Layers {
		at := func(name string) string { return layerName(name, i) }
		w := func(p string, pick []int) rows { return take(s.param(i, p), s.Hidden, pick) }
		b := func(p string, pick []int) rows { return take(s.param(i, p), 1, pick) }
		q, k := f.queryRows(s, i, s.repeat(), n.halves), f.queryRows(s, i, 1, n.halves)
		v, ffn := f.valueRows(s, i, 1), f.ffnRows(s, i)
		add(vector(at(n.norm1)+n.weight, s.bias(i, "norm1")))
		add(stacked(at(n.q)+n.weight, w("q", q).times(f.scale)))
		add(stacked(at(n.k)+n.weight, w("k", k)))
		add(stacked(at(n.v)+n.weight, w("v", v)))
		add(transposed(at(n.o)+n.weight, w("o", f.valueRows(s, i, s.repeat()))))
		if s.AttentionBias {
			add(vector(at(n.q)+n.bias, b("q_bias", q).times(f.scale)))
			add(vector(at(n.k)+n.bias, b("k_bias", k)))
			add(vector(at(n.v)+n.bias, b("v_bias", v)))
			add(vector(at(n.o)+n.bias, b("o_bias", nil)))
		}
		add(vector(at(n.norm2)+n.weight, s.bias(i, "norm2")))
		add(stacked(at(n.gate)+n.weight, w("gate", ffn)))
		add(stacked(at(n.up)+n.weight, w("up", ffn)))
		add(transposed(at(n.down)+n.weight, w("down", ffn)))
		if s.MLPBias {
			add(vector(at(n.gate)+n.bias, b("gate_bias", ffn)))
			add(vector(at(n.up)+n.bias, b("up_bias", ffn)))
			add(vector(at(n.down)+n.bias, b("down_bias", nil)))
		}
	}
	add(vector(n.norm+n.weight, take(s.set.Param("norm"), 1, nil)))
	if !s.Tied {
		add(stacked(n.head+n.weight, s.whole("head")))
	}
	return out
}
