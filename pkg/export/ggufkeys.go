package export

import (
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// llama.cpp's constraints: its llama sizes every layer like the first, its deci
// reads heads and feed-forward widths layer by layer.
var (
	ggufLlama = rules{name: "llama.cpp's llama", flag: "gguf-llama"}
	ggufDeci  = rules{name: "llama.cpp's deci", flag: "gguf-deci", anyHeads: true, anyFFN: true}
	ggufGPT2  = rules{name: "llama.cpp's gpt2", flag: "gguf-gpt2", product: true}
)

// layerName puts the layer into a name.
func layerName(name string, layer int) string {
	return strings.ReplaceAll(name, "%d", fmt.Sprint(layer))
}

var ggufLlamaNames = llamaNames{
	embed: "token_embd", norm: "output_norm", head: "output", norm1: "blk.%d.attn_norm", norm2: "blk.%d.ffn_norm",
	q: "blk.%d.attn_q", k: "blk.%d.attn_k", v: "blk.%d.attn_v", o: "blk.%d.attn_output",
	gate: "blk.%d.ffn_gate", up: "blk.%d.ffn_up", down: "blk.%d.ffn_down", weight: ".weight", bias: ".bias",
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
	var streams []checkpoint.Stream
	switch {
	case s.ModelType == "gpt2":
		arch, f = "gpt2", s.fitTo(ggufGPT2)
		streams = s.ggufGPT2(f)
	case s.ModelType == "llama":
		arch, f = "llama", nil
		if s.uniform() {
			f = s.fitTo(ggufLlama)
		} else {
			arch, f = "deci", s.fitTo(ggufDeci)
		}
		streams = s.llama(f, ggufLlamaNames)
		if f.factors != nil {
			streams = append(streams, ropeFreqs(f.factors))
		}
		if s.AttentionBias {
			for i, l := range f.layers {
				if l.kv*s.repeat()*f.headDim != s.Hidden {
					f.gaps = append(f.gaps, Gap{fmt.Sprintf("layer %d has query biases of %d, llama.cpp's %s needs %d", i, l.kv*s.repeat()*f.headDim, arch, s.Hidden), "leave attention whole: prune with --kinds ffn"})
				}
			}
		}
	}
	kvs = s.ggufKeys(arch, dtype, f)
	kvs = append(kvs, t.keys(s.Vocab)...)
	for _, st := range streams {
		tensors = append(tensors, gguf.Tensor{Stream: st, DType: ggufType(st, dtype)})
	}
	return arch, f, kvs, tensors
}

// ggufType is the type of a tensor: vectors and positions stay in float32, rows
// that do not fill blocks of Q8_0 in F16.
func ggufType(s checkpoint.Stream, dtype string) string {
	switch {
	case len(s.Shape) < 2 || s.Name == "position_embd.weight":
		return "F32"
	case dtype == "Q8_0" && s.Shape[1]%32 != 0:
		return "F16"
	}
	return dtype
}

func ropeFreqs(factors []float64) checkpoint.Stream {
	return checkpoint.Stream{Name: "rope_freqs.weight", Shape: []int{len(factors)}, Fill: func(dst []float32, lo, hi int) {
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
	add("general.name", "ecospa "+s.ModelType)
	add("general.file_type", ggufFileType[dtype])
	add("general.quantization_version", uint32(2))
	of("block_count", uint32(s.Layers))
	of("context_length", uint32(s.MaxPositions))
	of("embedding_length", uint32(s.Hidden))
	of("vocab_size", uint32(s.Vocab))
	heads, kv, ffn := make([]int32, s.Layers), make([]int32, s.Layers), make([]int32, s.Layers)
	for i, l := range f.layers {
		heads[i], kv[i], ffn[i] = int32(l.kv*s.repeat()), int32(l.kv), int32(l.ffn)
	}
	if arch == "deci" {
		of("attention.head_count", heads)
		of("attention.head_count_kv", kv)
		of("feed_forward_length", ffn)
	} else {
		of("attention.head_count", uint32(heads[0]))
		of("attention.head_count_kv", uint32(kv[0]))
		of("feed_forward_length", uint32(ffn[0]))
	}
	if arch == "gpt2" {
		of("attention.layer_norm_epsilon", float32(s.LayerEps))
		return kvs
	}
	of("attention.layer_norm_rms_epsilon", float32(s.RMSEps))
	of("attention.key_length", uint32(f.headDim))
	of("attention.value_length", uint32(f.headDim))
	of("rope.dimension_count", uint32(f.headDim))
	of("rope.freq_base", float32(s.RopeTheta))
	return kvs
}
