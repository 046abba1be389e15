package bundle

import (
	"io"
	"math"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdapterGGUF is the file beside PEFT's that has the same adapters for llama.cpp, where it can hold
// them.
const AdapterGGUF = "adapter.gguf"

// ggufAdapter is adapters as llama.cpp reads them (--lora) beside a GGUF file of the model
// without them: "lora_a" [rank, in] and "lora_b" [out, rank] after each matrix's name, rows in
// that file's order, scaled by adapter.lora.alpha over the rank. nil where that file's matrices
// are not the model's own: heads that were pruned are padded and scaled there.
func (b *Bundle) ggufAdapter(mods []peftModule, own *param.Set) ([]checkpoint.File, error) {
	arch := b.ggufArch()
	if arch == "" || len(mods) == 0 {
		return nil, nil
	}
	alpha := mods[0].scale * float64(mods[0].rank)
	var tensors []gguf.Tensor
	for _, m := range mods {
		if m.rank != mods[0].rank { // one number serves all
			return nil, nil
		}
	}
	layouts := make([]checkpoint.Tensor, 0, 2*len(mods))
	for _, m := range mods {
		of := m.GGUFTensors(b.Model.Table(), b.Set, own)
		if of == nil {
			return nil, nil
		}
		layouts = append(layouts, of...)
	}
	streams, err := checkpoint.Gather(own, layouts)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		tensors = append(tensors, gguf.Tensor{Stream: s, DType: "F32"})
	}
	kvs := []gguf.KV{
		{Key: "general.architecture", Value: arch}, {Key: "general.type", Value: "adapter"}, {Key: "general.name", Value: "ecospa adapters"},
		{Key: "adapter.type", Value: "lora"}, {Key: "adapter.lora.alpha", Value: float32(alpha)},
	}
	size, err := gguf.Size(kvs, tensors)
	if err != nil {
		return nil, err
	}
	return []checkpoint.File{{Name: AdapterGGUF, Size: size, Write: func(w io.Writer) error { return gguf.Write(w, kvs, tensors) }}}, nil
}

// ggufArch is the architecture of a GGUF file that has the model's matrices of attention as
// they are; "" where none has.
func (b *Bundle) ggufArch() string {
	a, t := b.Model.Arch(), b.Model.Table()
	if t.GGUF == nil || t.GGUF.Refuse != "" || len(b.Set.LayerOrigin()) < a.Layers || !t.GGUF.Scale && !t.FixedScale && a.Scale != 1/math.Sqrt(float64(a.HeadDim)) {
		return ""
	}
	arch := t.GGUF.Arch
	for i := range b.Set.Layers() {
		w := model.Layer(b.Set, i)
		if w.KV != a.KVHeads || w.QK*a.Pair(i) != a.HeadDim || w.VO != a.HeadDim {
			return ""
		}
		if w.FFN != model.Layer(b.Set, 0).FFN {
			arch = t.GGUF.PerLayer
		}
	}
	return arch
}
