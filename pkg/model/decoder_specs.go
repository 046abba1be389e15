package model

import (
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// specs are the parameters of a decoder or an encoder at the given widths. Their names and their
// order are those of saved runs, whose slabs follow them: they never change.
func (a *Arch) specs(layers []Widths) []param.Spec {
	s := newSpecs(a)
	table := []param.Dim{{Name: "vocab", Size: a.Vocab}, s.e}
	s.outside("embed", param.Embed, table, false, s.weight)
	if a.Learned {
		s.outside("positions", param.Positions, []param.Dim{{Name: "positions", Size: a.Positions}, s.e}, false, s.weight)
	}
	if a.Types > 0 {
		s.outside("token_types", param.TokenTypes, []param.Dim{{Name: "types", Size: a.Types}, s.e}, false, s.weight)
	}
	if a.EmbedNorm {
		s.norm("embed_norm", param.EmbedNorm)
	}
	for i, w := range layers {
		s.layer(i, w)
	}
	s.at = param.Outside
	if !a.AddNorm {
		s.norm("norm", param.FinalNorm)
	}
	if !a.Causal {
		s.encoderHeads()
		return s.list
	}
	if !a.Tied {
		s.outside("head", param.Head, table, false, s.weight)
	}
	return s.list
}

// encoderHeads adds what reads an encoder's hidden states.
func (s *specs) encoderHeads() {
	square := func(name string, role param.Role, bias bool) {
		s.outside(name, role, []param.Dim{{Size: s.e.Size}, s.e}, true, s.weight)
		if bias {
			s.outside(name+"_bias", role.Bias(), []param.Dim{{Size: s.e.Size}}, false, param.Init{})
		}
	}
	if s.a.Pooler {
		square("pooler", param.Pooler, true)
	}
	if !s.a.MaskedLM {
		return
	}
	square("head_dense", param.HeadDense, s.a.Bias[param.HeadDense])
	s.norm("head_norm", param.HeadNorm)
	vocab := param.Dim{Name: "vocab", Size: s.a.Vocab}
	if !s.a.Tied {
		s.outside("head", param.Head, []param.Dim{vocab, s.e}, false, s.weight)
	}
	s.outside("head_bias", param.Head.Bias(), []param.Dim{vocab}, false, param.Init{})
}

// specs collects parameters.
type specs struct {
	a            *Arch
	at           int // layer, or param.Outside
	e            param.Dim
	weight, proj param.Init // of matrices, and of those that write to the residual stream
	list         []param.Spec
}

func newSpecs(a *Arch) *specs {
	std := float32(a.InitRange)
	s := &specs{a: a, at: param.Outside, e: param.Dim{Name: "embed", Size: a.Hidden}}
	s.weight = param.Init{Std: std}
	s.proj = s.weight
	if a.SmallInit {
		s.proj.Std = std / float32(math.Sqrt(2*float64(a.Layers)))
	}
	return s
}

// add adds a parameter of the present layer.
func (s *specs) add(name, block string, role param.Role, dims []param.Dim, init param.Init) {
	if s.at != param.Outside {
		name, block = dim(s.at, name), dim(s.at, block)
	}
	s.list = append(s.list, param.Spec{Name: name, Layer: s.at, Role: role, Dims: dims, Block: block, Init: init})
}

// matrix adds one to which weight decay applies.
func (s *specs) matrix(name, block string, role param.Role, dims []param.Dim, init param.Init) {
	s.add(name, block, role, dims, init)
	s.list[len(s.list)-1].Decay = true
}

func (s *specs) outside(name string, role param.Role, dims []param.Dim, decay bool, init param.Init) {
	s.add(name, name, role, dims, init)
	s.list[len(s.list)-1].Decay = decay
}

// gain adds the gain of a norm, which begins at 1.
func (s *specs) gain(name, block string, role param.Role, dims []param.Dim) {
	if !s.a.PlusOne {
		s.add(name, block, role, dims, param.Init{Mean: 1})
		return
	}
	s.add(name, block, role, dims, param.Init{})
	s.list[len(s.list)-1].Plus = 1
}

// norm adds a norm: one gain, or in LayerNorm gain and mostly a bias in one block.
func (s *specs) norm(name string, role param.Role) {
	if !s.a.LayerNorm {
		s.gain(name, name, role, []param.Dim{s.e})
		return
	}
	s.gain(name+"_gain", name, role, []param.Dim{s.e})
	if !s.a.NoBias {
		s.add(name+"_bias", name, role.Bias(), []param.Dim{s.e}, param.Init{})
	}
}

// bias adds a bias where the architecture has one.
func (s *specs) bias(name, block string, role, of param.Role, dims ...param.Dim) {
	if s.a.Bias[of] {
		s.add(name+"_bias", block+"_bias", role.Bias(), dims, param.Init{})
	}
}

func (s *specs) layer(i int, w Widths) {
	s.at = i
	if s.a.norm1(i) {
		s.norm("norm1", param.Norm1)
	}
	s.attention(w)
	if s.a.Scaled {
		s.add("scale1", "scale1", param.LayerScale1, []param.Dim{s.e}, param.Init{Mean: float32(s.a.LayerScale)})
	}
	if s.a.PostNorm {
		s.norm("post1", param.PostNorm1)
	}
	if s.a.PreNorm || s.a.AddNorm {
		s.norm("norm2", param.Norm2)
	}
	ffn := param.Dim{Name: dim(i, "ffn"), Size: w.FFN, Kind: param.FFN}
	matrix := []param.Dim{ffn, s.e}
	if s.a.Gated {
		s.matrix("gate", "gate_up", param.Gate, matrix, s.weight)
		s.matrix("up", "gate_up", param.Up, matrix, s.weight)
		s.matrix("down", "down", param.Down, matrix, s.proj)
		s.bias("gate", "gate_up", param.Gate, param.Up, ffn)
		s.bias("up", "gate_up", param.Up, param.Up, ffn)
		s.bias("down", "down", param.Down, param.Down, s.e)
	} else {
		s.matrix("in", "in", param.Up, matrix, s.weight)
		s.bias("in", "in", param.Up, param.Up, ffn)
		s.matrix("out", "out", param.Down, matrix, s.proj)
		s.bias("out", "out", param.Down, param.Down, s.e)
	}
	if s.a.PostNorm {
		s.norm("post2", param.PostNorm2)
	}
	if s.a.Scaled {
		s.add("scale2", "scale2", param.LayerScale2, []param.Dim{s.e}, param.Init{Mean: float32(s.a.LayerScale)})
	}
}

// attention adds q, k, v and o. Where one gain serves the queries of all heads, all
// heads of a layer keep the same qk units.
func (s *specs) attention(w Widths) {
	a, i := s.a, s.at
	kv, r := param.Dim{Name: dim(i, "kv"), Size: w.KV, Kind: param.KV}, param.Dim{Size: a.Repeat()}
	unit := []param.Dim{{Name: dim(i, "qk"), Size: w.QK, Per: kv.Name, Kind: param.QK, Track: a.rope(i) != nil}}
	if a.QKNorm == HeadQKNorm {
		unit[0].Per = ""
	}
	if a.rope(i) != nil {
		unit = append(unit, param.Dim{Size: 2})
	}
	vo := param.Dim{Name: dim(i, "vo"), Size: w.VO, Per: kv.Name, Kind: param.VO}
	of := func(dims ...param.Dim) []param.Dim { return dims }
	q, k := append(of(kv, r), unit...), append(of(kv), unit...)
	s.matrix("q", "qkv", param.Q, append(q[:len(q):len(q)], s.e), s.weight)
	s.matrix("k", "qkv", param.K, append(k[:len(k):len(k)], s.e), s.weight)
	s.matrix("v", "qkv", param.V, of(kv, vo, s.e), s.weight)
	s.bias("q", "qkv", param.Q, param.Q, q...)
	s.bias("k", "qkv", param.K, param.Q, k...)
	s.bias("v", "qkv", param.V, param.Q, kv, vo)
	o := func() { s.matrix("o", "o", param.O, of(kv, r, vo, s.e), s.proj) }
	if !a.Gated {
		o()
	}
	s.bias("o", "o", param.O, param.O, s.e)
	if a.Gated {
		o()
	}
	s.qkNorm(q, k, unit)
}

// qkNorm adds the gains of the norms of queries and keys.
func (s *specs) qkNorm(q, k, unit []param.Dim) {
	switch s.a.QKNorm {
	case HeadQKNorm:
		q, k = unit, unit
	case NoQKNorm:
		return
	}
	s.gain("q_norm", "q_norm", param.QNorm, q)
	s.gain("k_norm", "k_norm", param.KNorm, k)
}
