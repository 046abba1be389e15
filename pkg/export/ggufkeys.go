package export

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// ggufRules are llama.cpp's constraints on an architecture: most size every layer like
// the first, some read heads and feed-forward widths layer by layer.
func ggufRules(g *model.GGUF, arch string) rules {
	perLayer := arch == g.PerLayer
	return rules{name: "llama.cpp's " + arch, flag: "gguf-" + arch, anyHeads: perLayer, anyFFN: perLayer, product: !g.HeadDim, scaled: g.Scale, whole: !g.HeadDim || !g.RopeFreqs}
}

// ggufFileType is general.file_type.
var ggufFileType = map[string]uint32{"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}

// uniform reports whether all layers have the same heads and feed-forward widths.
func (s *source) uniform() bool {
	for i := range s.Layers {
		if a, b := s.widths(0), s.widths(i); a.KV != b.KV || a.FFN != b.FFN {
			return false
		}
	}
	return true
}

// ggufPlan decides the architecture, the keys and the tensors of a GGUF file.
func (s *source) ggufPlan(dtype string, t *vocabulary) (arch string, f *fit, kvs []gguf.KV, tensors []gguf.Tensor) {
	g := s.table.GGUF
	arch = g.Arch
	if g.PerLayer != "" && !s.uniform() {
		arch = g.PerLayer
	}
	f = s.fitTo(ggufRules(g, arch))
	streams := s.streams(f, false, g.Halves)
	if f.factors != nil {
		streams = append(streams, ropeFactors("rope_freqs.weight", f.factors))
	}
	if r := s.longRope(); r != nil {
		short, long, _, _ := r.LongRope()
		streams = append(streams, ropeFactors(model.ShortFactors, short), ropeFactors(model.LongFactors, long))
	}
	f.biases(s, g, arch)
	kvs = s.ggufKeys(arch, dtype, f)
	kvs = append(kvs, t.keys(s.Vocab)...)
	if s.Types > 0 {
		kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml.token_type_count", Value: uint32(s.Types)})
	}
	for _, st := range streams {
		tensors = append(tensors, gguf.Tensor{Stream: st, DType: ggufType(st, dtype)})
	}
	return arch, f, kvs, tensors
}

// biases notes the biases of q that an architecture cannot hold.
func (f *fit) biases(s *source, g *model.GGUF, arch string) {
	if !g.SquareQ || !s.Bias[param.Q] {
		return
	}
	for i, l := range f.layers {
		if n := l.kv * s.Repeat() * f.headDim; n != s.Hidden {
			f.gaps = append(f.gaps, Gap{fmt.Sprintf("layer %d has query biases of %d, llama.cpp's %s needs %d", i, n, arch, s.Hidden), "leave attention whole: prune with --kinds ffn"})
		}
	}
}

// ggufType is the type of a tensor: vectors, positions and token types stay in float32, rows
// that do not fill blocks of Q8_0 in F16.
func ggufType(s checkpoint.Stream, dtype string) string {
	switch {
	case len(s.Shape) < 2 || s.Name == "position_embd.weight" || s.Name == "token_types.weight":
		return "F32"
	case dtype == "Q8_0" && s.Shape[1]%32 != 0:
		return "F16"
	}
	return dtype
}

func ropeFactors(name string, factors []float64) checkpoint.Stream {
	return checkpoint.Stream{Name: name, Shape: []int{len(factors)}, Fill: func(dst []float32, lo, hi int) {
		for i := range dst {
			dst[i] = float32(factors[lo+i])
		}
	}}
}

func (s *source) ggufKeys(arch, dtype string, f *fit) []gguf.KV {
	var kvs []gguf.KV
	add := func(key string, value any) { kvs = append(kvs, gguf.KV{Key: key, Value: value}) }
	of := func(key string, value any) { add(arch+"."+key, value) }
	add("general.architecture", arch)
	add("general.type", "model")
	name := s.m.Family()
	if s.table.GGUF.Name != "" {
		name = s.table.GGUF.Name
	}
	add("general.name", "ecospa "+name)
	add("general.file_type", ggufFileType[dtype])
	add("general.quantization_version", uint32(2))
	of("block_count", uint32(s.Layers))
	of("context_length", uint32(s.Positions))
	of("embedding_length", uint32(s.Hidden))
	of("vocab_size", uint32(s.Vocab))
	heads, kv, ffn := make([]int32, s.Layers), make([]int32, s.Layers), make([]int32, s.Layers)
	for i, l := range f.layers {
		heads[i], kv[i], ffn[i] = int32(l.kv*s.Repeat()), int32(l.kv), int32(l.ffn)
	}
	if arch == s.table.GGUF.PerLayer {
		of("attention.head_count", heads)
		of("attention.head_count_kv", kv)
		of("feed_forward_length", ffn)
	} else {
		of("attention.head_count", uint32(heads[0]))
		of("attention.head_count_kv", uint32(kv[0]))
		of("feed_forward_length", uint32(ffn[0]))
	}
	if s.LayerNorm {
		of("attention.layer_norm_epsilon", float32(s.Eps))
	} else {
		of("attention.layer_norm_rms_epsilon", float32(s.Eps))
	}
	if s.table.GGUF.HeadDim {
		of("attention.key_length", uint32(f.headDim))
		of("attention.value_length", uint32(f.headDim))
	}
	for _, key := range slices.Sorted(maps.Keys(s.table.GGUF.Keys)) {
		of(key, s.table.GGUF.Keys[key])
	}
	if !s.Causal {
		of("attention.causal", false)
		pooling := uint32(1) // the mean
		if s.Pooling == model.CLSPooling {
			pooling = 2
		}
		of("pooling_type", pooling)
	}
	if s.table.GGUF.Scale {
		of("attention.scale", float32(s.Scale))
	}
	s.ggufFactors(f, of)
	return kvs
}

// ggufFactors are the keys of multipliers and of rotary positions.
func (s *source) ggufFactors(f *fit, of func(key string, value any)) {
	if s.table.GGUF.Factors {
		or1 := func(x float64) float64 {
			if x == 0 {
				return 1
			}
			return x
		}
		of("embedding_scale", float32(or1(s.EmbedScale)))
		of("residual_scale", float32(or1(s.ResidualScale)))
		of("logit_scale", float32(1/or1(s.LogitScale)))
	}
	if s.Rope != nil {
		turned := f.headDim
		if f.rotary > 0 {
			turned = f.rotary
		}
		of("rope.dimension_count", uint32(turned))
		theta := s.theta()
		if s.table.GGUF.Theta != 0 {
			theta = s.table.GGUF.Theta
		}
		of("rope.freq_base", float32(theta))
		s.ggufScaling(of)
		if r := s.longRope(); r != nil {
			_, _, after, _ := r.LongRope()
			if after == 0 { // both sets are the same
				after = s.Positions
			}
			of("rope.scaling.original_context_length", uint32(after))
			of("rope.scaling.attn_factor", float32(cmp.Or(r.Gain, 1)))
		}
	}
}

// ggufScaling are the keys of a scaled rotation, but for longrope's.
func (s *source) ggufScaling(of func(key string, value any)) {
	k, said := s.ropeKeys()
	if said {
		of("rope.scaling.type", k.Type)
		of("rope.scaling.factor", float32(k.Factor))
	} else if s.longRope() == nil {
		k.Gain = s.gain()
	}
	if k.Gain != 0 && math.Abs(k.Gain-1) > 1e-6 { // what float32 does not tell from 1 is 1
		of("rope.scaling.attn_factor", float32(k.Gain))
	}
	if k.Type != "yarn" {
		return
	}
	of("rope.scaling.original_context_length", uint32(k.Original))
	if k.Fast != 0 {
		of("rope.scaling.yarn_beta_fast", float32(k.Fast))
	}
	if k.Slow != 0 {
		of("rope.scaling.yarn_beta_slow", float32(k.Slow))
	}
}
