package model

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// Tensors: files of the bare model lack the prefix, those written by transformers 5
// may have its shorter names; the old ones are written.
func (m *vit) Tensors(set *param.Set) []checkpoint.Tensor {
	prefix := m.ModelType + "."
	var ts []checkpoint.Tensor
	add := func(name string, t checkpoint.Tensor, newer ...string) {
		t.Name, t.Aliases = prefix+name, []string{name}
		for _, n := range newer {
			t.Aliases = append(t.Aliases, prefix+n, n)
		}
		ts = append(ts, t)
	}
	one := func(p string) checkpoint.Tensor { return checkpoint.Tensor{Parts: []checkpoint.Part{{Param: p}}} }
	shaped := func(p string, shape ...int) checkpoint.Tensor {
		t := one(p)
		t.Shape = shape
		return t
	}
	add("embeddings.cls_token", shaped("class_token", 1, 1, m.Hidden))
	if m.tokens() > 1 {
		add("embeddings.distillation_token", shaped("distill_token", 1, 1, m.Hidden))
	}
	add("embeddings.position_embeddings", shaped("positions", 1, m.Context(), m.Hidden))
	add("embeddings.patch_embeddings.projection.weight", shaped("patch", m.Hidden, m.Channels, m.PatchSize, m.PatchSize))
	add("embeddings.patch_embeddings.projection.bias", one("patch_bias"))
	for i := range m.Layers {
		at := func(s string) string { return dim(i, s) }
		layer := func(name string, t checkpoint.Tensor, newer ...string) {
			old, short := fmt.Sprintf("encoder.layer.%d.", i), fmt.Sprintf("layers.%d.", i)
			names := []string{short + name}
			for _, n := range newer {
				names = append(names, short+n, old+n)
			}
			add(old+name, t, names...)
		}
		for _, n := range []struct{ old, ours string }{{"layernorm_before", "norm1"}, {"layernorm_after", "norm2"}} {
			layer(n.old+".weight", one(at(n.ours+"_gain")))
			layer(n.old+".bias", one(at(n.ours+"_bias")))
		}
		for _, n := range []string{"query", "key", "value"} {
			p, newer := n[:1], "attention."+n[:1]+"_proj."
			t := one(at(p))
			t.Rank = 2
			layer("attention.attention."+n+".weight", t, newer+"weight")
			if m.QKVBias {
				t := one(at(p + "_bias"))
				t.Rank = 1
				layer("attention.attention."+n+".bias", t, newer+"bias")
			}
		}
		o := checkpoint.Tensor{Parts: []checkpoint.Part{{Param: at("o"), Perm: []int{3, 0, 1, 2}}}, Axis: 1, Rank: 2}
		layer("attention.output.dense.weight", o, "attention.o_proj.weight")
		layer("attention.output.dense.bias", one(at("o_bias")), "attention.o_proj.bias")
		layer("intermediate.dense.weight", one(at("in")), "mlp.fc1.weight")
		layer("intermediate.dense.bias", one(at("in_bias")), "mlp.fc1.bias")
		out := checkpoint.Tensor{Parts: []checkpoint.Part{{Param: at("out"), Perm: []int{1, 0}}}, Axis: 1, Rank: 2}
		layer("output.dense.weight", out, "mlp.fc2.weight")
		layer("output.dense.bias", one(at("out_bias")), "mlp.fc2.bias")
	}
	add("layernorm.weight", one("norm_gain"))
	add("layernorm.bias", one("norm_bias"))
	class := "classifier"
	if m.teacher() {
		class = "cls_classifier"
		ts = append(ts, whole("distillation_classifier.weight", "distill_head"), whole("distillation_classifier.bias", "distill_head_bias"))
	}
	return append(ts, whole(class+".weight", "head"), whole(class+".bias", "head_bias"))
}
