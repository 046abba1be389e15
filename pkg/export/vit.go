package export

import "github.com/ecospa/ecospa/pkg/checkpoint"

// tokens is the number of tokens before the patches: class, and deit's distillation.
func (s *source) tokens() int {
	if s.set.Param("distill_token") != nil {
		return 2
	}
	return 1
}

// outer picks all rows of a parameter whose rows have their own width.
func (s *source) outer(p string, width int) rows { return take(s.set.Param(p), width, nil) }

// hfViT lists a vision transformer's tensors under the names of transformers 4,
// which 5 reads, too.
func (s *source) hfViT(f *fit) []checkpoint.Stream {
	prefix := s.ModelType + "."
	shaped := func(t checkpoint.Stream, shape ...int) checkpoint.Stream {
		fill, width := t.Fill, s.Hidden
		t.Shape = shape
		if shape[0] == 1 { // all rows at once
			rows := t.Elements() / width
			t.Fill = func(dst []float32, _, _ int) { fill(dst, 0, rows) }
		}
		return t
	}
	vec := func(name, p string) checkpoint.Stream { return vector(name, take(s.set.Param(p), 1, nil)) }
	e, patch := s.Hidden, s.Channels*s.PatchSize*s.PatchSize
	out := []checkpoint.Stream{
		shaped(stacked(prefix+"embeddings.cls_token", s.whole("class_token")), 1, 1, e),
		shaped(stacked(prefix+"embeddings.position_embeddings", s.whole("positions")), 1, s.set.Param("positions").Size()/e, e),
		shaped(stacked(prefix+"embeddings.patch_embeddings.projection.weight", s.outer("patch", patch)), e, s.Channels, s.PatchSize, s.PatchSize),
		vec(prefix+"embeddings.patch_embeddings.projection.bias", "patch_bias"),
		vec(prefix+"layernorm.weight", "norm_gain"), vec(prefix+"layernorm.bias", "norm_bias"),
	}
	if s.tokens() > 1 {
		out = append(out, shaped(stacked(prefix+"embeddings.distillation_token", s.whole("distill_token")), 1, 1, e))
	}
	for i := range s.Layers {
		at := func(name string) string { return layerName(prefix+"encoder.layer.%d."+name, i) }
		w := func(p string, pick []int) rows { return take(s.param(i, p), e, pick) }
		b := func(p string, pick []int) rows { return take(s.param(i, p), 1, pick) }
		qk, v, ffn := f.queryRows(s, i, 1, false), f.valueRows(s, i, 1), f.ffnRows(s, i)
		out = append(out,
			vector(at("layernorm_before.weight"), s.bias(i, "norm1_gain")), vector(at("layernorm_before.bias"), s.bias(i, "norm1_bias")),
			stacked(at("attention.attention.query.weight"), w("q", qk)), stacked(at("attention.attention.key.weight"), w("k", qk)),
			stacked(at("attention.attention.value.weight"), w("v", v)),
			transposed(at("attention.output.dense.weight"), w("o", v)), vector(at("attention.output.dense.bias"), b("o_bias", nil)),
			vector(at("layernorm_after.weight"), s.bias(i, "norm2_gain")), vector(at("layernorm_after.bias"), s.bias(i, "norm2_bias")),
			stacked(at("intermediate.dense.weight"), w("in", ffn)), vector(at("intermediate.dense.bias"), b("in_bias", ffn)),
			transposed(at("output.dense.weight"), w("out", ffn)), vector(at("output.dense.bias"), b("out_bias", nil)))
		if s.param(i, "q_bias") != nil {
			out = append(out, vector(at("attention.attention.query.bias"), b("q_bias", qk)),
				vector(at("attention.attention.key.bias"), b("k_bias", qk)), vector(at("attention.attention.value.bias"), b("v_bias", v)))
		}
	}
	if s.set.Param("distill_head") == nil {
		return append(out, stacked("classifier.weight", s.whole("head")), vec("classifier.bias", "head_bias"))
	}
	return append(out, stacked("cls_classifier.weight", s.whole("head")), vec("cls_classifier.bias", "head_bias"),
		stacked("distillation_classifier.weight", s.whole("distill_head")), vec("distillation_classifier.bias", "distill_head_bias"))
}

// preprocessor is preprocessor_config.json: what happens to an image's pixels.
func (s *source) preprocessor() map[string]any {
	kind := "ViTImageProcessor"
	if s.ModelType == "deit" {
		kind = "DeiTImageProcessor"
	}
	return map[string]any{
		"image_processor_type": kind, "do_resize": true, "do_rescale": true, "do_normalize": true,
		"size": map[string]int{"height": s.ImageSize, "width": s.ImageSize}, "rescale_factor": s.raw["rescale_factor"],
		"image_mean": s.raw["image_mean"], "image_std": s.raw["image_std"],
	}
}
