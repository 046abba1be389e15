package export

import (
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// source is the model that is exported: what it computes, what its parameters are
// called, and the parameters.
type source struct {
	*model.Arch
	m     model.Model
	table *model.Table
	set   *param.Set
	freqs func(layer int) [][]float64 // nil without rotary positions
}

func newSource(m model.Model, set *param.Set) *source {
	s := &source{Arch: m.Arch(), m: m, table: m.Table(), set: set}
	if r, ok := m.(model.Rotary); ok && s.Rope != nil {
		s.freqs = func(layer int) [][]float64 { return r.Frequencies(set, layer) }
	}
	return s
}

// theta is the base of the rotation frequencies.
func (s *source) theta() float64 {
	for _, r := range s.Rope {
		if r != nil {
			return r.Theta
		}
	}
	return 0
}

func (s *source) widths(layer int) model.Widths { return model.Layer(s.set, layer) }

// origin is the dense pairs that each K/V head of a layer still has; nil without RoPE.
func (s *source) origin(layer int) [][]int {
	of := s.set.Origin(s.set.LayerDim(layer, param.QK).Name)
	for len(of) == 1 && len(of) < s.widths(layer).KV { // one list for all heads
		for len(of) < s.widths(layer).KV {
			of = append(of[:len(of):len(of)], of[0])
		}
	}
	return of
}

// streams are the tensors of the file in the shape of the fit.
func (s *source) streams(f *fit, hf, halves bool) []checkpoint.Stream {
	var out []checkpoint.Stream
	s.table.Each(s.set, hf, func(n model.Name, layer int, name string) {
		var parts []rows
		for _, role := range n.Roles {
			p, width := s.set.LayerParam(layer, role), 1
			if n.Matrix() {
				width = p.Dims[len(p.Dims)-1].Size
			}
			r := take(p, width, f.pick(s, role, layer, halves))
			if role == param.Q || role == param.Q.Bias() {
				r = r.times(f.scale)
			}
			parts = append(parts, r)
		}
		var t checkpoint.Stream
		switch {
		case !n.Matrix():
			t = vector(name, parts...)
		case n.Transposed(hf):
			t = transposed(name, parts...)
		default:
			t = stacked(name, parts...)
		}
		if hf && n.Shape != nil {
			t = shaped(t, n.Shape)
		}
		out = append(out, t)
	})
	return out
}

// shaped is a matrix under another shape of as many elements. A leading dimension of
// one is all rows at once.
func shaped(t checkpoint.Stream, shape []int) checkpoint.Stream {
	fill, rows := t.Fill, t.Shape[0]
	t.Shape = shape
	if shape[0] == 1 {
		t.Fill = func(dst []float32, _, _ int) { fill(dst, 0, rows) }
	}
	return t
}

// pick is the rows of a parameter that the file has, nil for all as they are.
func (f *fit) pick(s *source, role param.Role, layer int, halves bool) []int {
	switch role {
	case param.Q, param.Q.Bias():
		return f.queryRows(s, layer, s.Repeat(), halves)
	case param.K, param.K.Bias():
		return f.queryRows(s, layer, 1, halves)
	case param.V, param.V.Bias():
		return f.valueRows(s, layer, 1)
	case param.O:
		return f.valueRows(s, layer, s.Repeat())
	case param.Gate, param.Up, param.Down, param.Gate.Bias(), param.Up.Bias():
		return f.ffnRows(s, layer)
	}
	return nil
}
