package export

import (
	"fmt"
	"math"
	"slices"

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

func newSource(whole model.Model, set *param.Set) (*source, error) {
	m := whole
	if len(set.LayerOrigin()) < m.Arch().Layers {
		var err error
		if m, err = whole.Present(set); err != nil {
			return nil, fmt.Errorf("%w: %w; --format onnx holds it", ErrShape, err)
		}
	}
	s := &source{Arch: m.Arch(), m: m, table: m.Table(), set: set}
	if r, ok := m.(model.Rotary); ok && s.Rope != nil {
		s.freqs = func(layer int) [][]float64 { return r.Frequencies(set, layer) }
	}
	return s, nil
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

// stretched reports whether some layer's frequencies are scaled.
func (s *source) stretched() bool {
	return slices.ContainsFunc(s.Rope, func(r *model.Rope) bool { return r != nil && r.Stretched() })
}

// factors reports whether one factor a frequency says all of the scaling in every layer.
func (s *source) factors() bool {
	return !slices.ContainsFunc(s.Rope, func(r *model.Rope) bool { return r != nil && !r.Factors() })
}

// gain multiplies what turns; 0 is 1.
func (s *source) gain() float64 {
	for _, r := range s.Rope {
		if r != nil && r.Gain != 0 {
			return r.Gain
		}
	}
	return 0
}

// ropeKeys is the scaling as keys of a GGUF file say it, of an architecture that cannot be
// given frequencies; ok is false where there is none, or no keys for it. Layers with windows
// may turn without linear scaling, but not without yarn, whose gain llama.cpp gives to all.
func (s *source) ropeKeys() (k model.RopeKeys, ok bool) {
	plain := false
	for _, r := range s.Rope {
		switch {
		case r == nil || s.table.GGUF.RopeFreqs:
		case !r.Stretched():
			plain = true
		case !ok:
			if k, ok = r.Keys(); !ok {
				return k, false
			}
		}
	}
	return k, ok && !(plain && k.Type == "yarn")
}

// longRope is the rotation that a GGUF file says by two sets of factors; nil for others.
func (s *source) longRope() *model.Rope {
	if len(s.Rope) == 0 || s.Rope[0] == nil || !s.table.GGUF.LongRope {
		return nil
	}
	if _, _, _, ok := s.Rope[0].LongRope(); !ok {
		return nil
	}
	return s.Rope[0]
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
			r.scale, r.shift = f.factor(s, role, hf)
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
		if hf && n.ByHead {
			t = byHead(t, s.Heads)
		}
		out = append(out, t)
	})
	return out
}

// byHead joins q, k and v, which lie one below the other, head by head: each of them has
// as many rows a head.
func byHead(t checkpoint.Stream, heads int) checkpoint.Stream {
	fill, width := t.Fill, t.Elements()/t.Shape[0]
	rows := t.Shape[0] / (3 * heads) // of one head of one of them
	t.Fill = func(dst []float32, lo, hi int) {
		for i := lo; i < hi; i++ {
			head, rest := i/(3*rows), i%(3*rows)
			from := (rest/rows*heads+head)*rows + rest%rows
			fill(dst[(i-lo)*width:(i-lo+1)*width], from, from+1)
		}
	}
	return t
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

// factor is what the rows of a parameter are multiplied by, and what is added then.
//
// The file's scale of scores is 1/sqrt of its own head width, or a key: scale is what
// is left to W_Q. A norm of queries and keys stands between: with d' of d columns the
// rows of W_Q and W_K times c = sqrt(d'/d) have the mean square that the whole heads
// have, and the gains take c back and what the scale asks for. Gains are 1 + w in
// Hugging Face's files where the family has them so, never in GGUF.
func (f *fit) factor(s *source, role param.Role, hf bool) (scale, shift float32) {
	c := 1.0
	if s.QKNorm != model.NoQKNorm {
		c = math.Sqrt(f.norm)
	}
	x := 1.0
	switch role {
	case param.Q, param.Q.Bias():
		if x = c; s.QKNorm == model.NoQKNorm {
			x = f.scale
		}
	case param.K, param.K.Bias():
		x = c
	case param.QNorm:
		x = f.scale / c
	case param.KNorm:
		x = 1 / c
	}
	if s.PlusOne && model.IsNorm(role) {
		shift = float32(x)
		if hf {
			shift--
		}
	}
	return float32(x), shift
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
	case param.QNorm, param.KNorm:
		return f.gainRows(s, layer, role, halves)
	case param.Gate, param.Up, param.Down, param.Gate.Bias(), param.Up.Bias():
		return f.ffnRows(s, layer)
	}
	return nil
}
