package model

import (
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// Tensors: files of the bare model lack the prefix, those written by transformers 5
// may have its shorter names; the old ones are written.
func (m *vit) Tensors(set *param.Set) []checkpoint.Tensor {
	ts := m.Table().HF(set)
	for i := range ts {
		switch ts[i].Parts[0].Param {
		case "head", "head_bias":
			ts[i].Optional = m.backbone
		case "positions":
			if m.dino != nil {
				ts[i].Other = m.positions
			}
		}
	}
	return ts
}

// Table is the names of transformers 4, with those of 5 as aliases.
func (m *vit) Table() *Table {
	prefix := m.ModelType + "."
	shaped := func(hf string, role param.Role, shape ...int) Name {
		return Name{Roles: []param.Role{role}, HF: prefix + hf, Shape: shape}
	}
	t := &Table{Prefix: prefix, Class: m.Architectures[0], FixedHeads: true, Distilled: m.ModelType == "deit"}
	add := func(n ...Name) { t.Tensors = append(t.Tensors, n...) }
	both := func(hf string, role param.Role, newer ...string) { // a matrix or a norm, and its bias
		for _, r := range []param.Role{role, role.Bias()} {
			n := entry(prefix+"encoder.layer.%d."+hf, "", r)
			suffix := n.HF[len(prefix+"encoder.layer.%d."+hf):]
			n.Aliases = append(n.Aliases, prefix+"layers.%d."+hf+suffix)
			for _, name := range newer {
				n.Aliases = append(n.Aliases, prefix+"layers.%d."+name+suffix, prefix+"encoder.layer.%d."+name+suffix)
			}
			add(n)
		}
	}
	add(shaped("embeddings.cls_token", param.ClassToken, 1, 1, m.Hidden),
		shaped("embeddings.distillation_token", param.DistillToken, 1, 1, m.Hidden),
		shaped("embeddings.position_embeddings", param.Positions, 1, m.Context(), m.Hidden),
		shaped("embeddings.patch_embeddings.projection.weight", param.Patch, m.Hidden, m.Channels, m.PatchSize, m.PatchSize),
		entry(prefix+"embeddings.patch_embeddings.projection", "", param.Patch.Bias()))
	if m.dino != nil {
		add(shaped("embeddings.mask_token", param.MaskToken, 1, m.Hidden))
		add(m.dino.names(prefix + "encoder.layer.%d.")...)
		t.FFNMultiple = m.dino.multiple()
	} else {
		both("layernorm_before", param.Norm1)
		both("layernorm_after", param.Norm2)
		both("intermediate.dense", param.Up, "mlp.fc1")
		both("output.dense", param.Down, "mlp.fc2")
	}
	both("attention.attention.query", param.Q, "attention.q_proj")
	both("attention.attention.key", param.K, "attention.k_proj")
	both("attention.attention.value", param.V, "attention.v_proj")
	both("attention.output.dense", param.O, "attention.o_proj")
	add(entry(prefix+"layernorm", "", param.FinalNorm), entry(prefix+"layernorm", "", param.FinalNorm.Bias()))
	class := "classifier"
	if m.teacher() {
		class = "cls_classifier"
		add(entry("distillation_classifier", "", param.DistillHead), entry("distillation_classifier", "", param.DistillHead.Bias()))
	}
	add(entry(class, "", param.Head), entry(class, "", param.Head.Bias()))
	return t
}
