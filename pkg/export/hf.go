package export

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// hfRules are the constraints of a class of transformers: one number for all layers.
func hfRules(t *model.Table) rules {
	return rules{name: "transformers' " + t.Class, flag: "hf", product: t.FixedHeads, scaled: t.FixedHeads || t.FixedScale, whole: t.FixedHeads || t.WholeHeads, divisible: !t.FixedHeads, multiple: t.FFNMultiple}
}

func init() {
	Register(Format{
		Name: "hf", About: "a directory for Hugging Face transformers", DTypes: []string{"F32", "F16", "BF16"},
		Plan:    planHF,
		Read:    readHF,
		Targets: func() []string { return []string{"hf"} },
		Demands: func(_ string, m model.Model) (Demands, error) {
			t := m.Table()
			return Demands{Block: t.FFNMultiple, WholeAttention: t.FixedHeads || t.WholeHeads, AllHeads: "transformers wants heads that divide hidden_size, which pruning cannot guarantee"}, nil
		},
	})
}

func readHF(path string, t param.DType) (model.Model, *param.Set, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	m, set, err := model.ReadShapes(root)
	if err != nil {
		return nil, nil, err
	}
	return m, set, checkpoint.ReadWeightsAs(root, set, m.Tensors(set), model.Ignorable, t)
}

// planHF plans a directory of transformers.
func planHF(p *Plan, m model.Model, set *param.Set, o Options) error {
	s, err := newSource(m, set)
	if err != nil {
		return err
	}
	f := s.fitTo(hfRules(s.table))
	if f.headDim != s.HeadDim && !s.factors() {
		return fmt.Errorf("%w: longrope with two sets of factors is written for whole heads only, of %d columns; --format onnx holds it", ErrShape, s.HeadDim)
	}
	config, err := s.m.Shaped(f.shape(s))
	if err != nil {
		return err
	}
	p.Architecture, p.Gaps = s.table.Class, f.gaps
	// The file is whole in its own terms; what the model was says "from".
	from := model.KeptOf(m, set)
	own := model.Kept{HeadDim: f.headDim, Dense: from.Dense}
	for i, l := range f.layers {
		own.Layers = append(own.Layers, model.Widths{KV: l.kv, QK: f.headDim / s.Pair(i), VO: f.headDim, FFN: l.ffn})
	}
	config["ecospa"] = struct {
		model.Kept
		From *model.Kept `json:"from"`
	}{own, from}
	config["torch_dtype"] = map[string]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[o.DType]
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	streams := s.streams(f, true, true)
	size := int64(0)
	for _, t := range streams {
		p.Count(t, o.DType)
		size += int64(t.Elements()) * map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[o.DType]
	}
	p.Files = []checkpoint.File{
		checkpoint.BytesFile("config.json", append(text, '\n')),
		{Name: "model.safetensors", Size: size, Write: func(w io.Writer) error { return checkpoint.WriteStreams(w, streams, o.DType) }},
	}
	if s.Image != nil {
		p.Files = append(p.Files, checkpoint.JSONFile("preprocessor_config.json", s.preprocessor()))
	}
	if o.Tokenizer != nil {
		settings, err := s.tokenizerSettings(o, config)
		if err != nil {
			return err
		}
		p.Files = append(p.Files, checkpoint.BytesFile("tokenizer.json", o.Tokenizer), checkpoint.JSONFile("tokenizer_config.json", settings))
	}
	p.carry(o.Carried)
	p.Loaders = []string{"transformers " + p.Architecture, "ecospa"}
	return nil
}

// carry adds what came with the model. What says how text is treated stays as it came;
// what says how pixels are is written anew, as the model may have learned other values.
func (p *Plan) carry(files []checkpoint.File) {
	for _, f := range files {
		at := slices.IndexFunc(p.Files, func(have checkpoint.File) bool { return have.Name == f.Name })
		switch {
		case at < 0:
			p.Files = append(p.Files, f)
		case f.Name == "tokenizer_config.json" || f.Name == "preprocessor_config.json": // the source's own
			p.Files[at] = f
		}
	}
}

// shape is that of every layer of the fit.
func (f *fit) shape(s *source) model.Shape {
	return model.Shape{KV: f.layers[0].kv, HeadDim: f.headDim, FFN: f.layers[0].ffn, Factors: f.factors, Gain: s.gain(), Narrowed: f.headDim != s.HeadDim}
}

// bos is the id of the beginning of a text that config.json names, or -1.
func bos(config map[string]any) int {
	if id, ok := config["bos_token_id"].(float64); ok {
		return int(id)
	}
	return -1
}

// preprocessor is preprocessor_config.json, what happens to an image's pixels: without
// a geometry that the middle square is resized.
func (s *source) preprocessor() map[string]any {
	i, kind := s.Image, "ViTImageProcessor"
	g := model.Geometry{Shortest: i.Side, Resample: 3, CropHeight: i.Side, CropWidth: i.Side}
	if i.Geometry != nil {
		g = *i.Geometry
	}
	sides := func(h, w int) map[string]int { return map[string]int{"height": h, "width": w} }
	out := map[string]any{
		"do_resize": g.Shortest+g.Height > 0, "resample": g.Resample, "do_center_crop": g.CropHeight > 0,
		"do_rescale": true, "do_normalize": true, "rescale_factor": i.Rescale, "image_mean": i.Mean, "image_std": i.Std,
	}
	switch {
	case g.Shortest > 0:
		kind, out["size"] = "CLIPImageProcessor", map[string]int{"shortest_edge": g.Shortest}
		out["do_convert_rgb"] = i.Channels == 3
	case g.Height > 0:
		out["size"] = sides(g.Height, g.Width)
	}
	if g.CropHeight > 0 {
		out["crop_size"] = sides(g.CropHeight, g.CropWidth)
		if g.Shortest == 0 { // ViTImageProcessor does not cut
			kind = "DeiTImageProcessor"
		}
	}
	out["image_processor_type"] = kind
	return out
}
