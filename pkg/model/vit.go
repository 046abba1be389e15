package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// vit is the vision transformer (https://arxiv.org/abs/2010.11929), and DeiT
// (https://arxiv.org/abs/2012.12877), which is the same with a second token: squares of
// an image as tokens behind a class token, learned positions, pre-norm blocks of
// LayerNorm, attention without a mask and GELU, biases, a classifier of the class token.
//
//	x = [class; patches·Wᵀ] + pos                     (B·T, E)
//	x = x + O(attention(QKV(norm1(x))))               per layer
//	x = x + out(gelu(in(norm2(x))))                   per layer
//	loss = cross-entropy of head(norm(x[class]))
//
// With the architecture DeiTForImageClassificationWithTeacher the distillation token
// has a classifier of its own: the loss is the mean of both, logits are the mean.
// Its fields are the keys of Hugging Face's config.json, and of its
// preprocessor_config.json for what happens to pixels.
type vit struct {
	Architectures []string          `json:"architectures"`
	ModelType     string            `json:"model_type"` // vit, or deit with a distillation token
	Hidden        int               `json:"hidden_size"`
	Layers        int               `json:"num_hidden_layers"`
	Heads         int               `json:"num_attention_heads"`
	Intermediate  int               `json:"intermediate_size"`
	Activation    string            `json:"hidden_act"`
	Eps           float64           `json:"layer_norm_eps"`
	InitRange     float64           `json:"initializer_range"`
	ImageSize     int               `json:"image_size"`
	PatchSize     int               `json:"patch_size"`
	Channels      int               `json:"num_channels"`
	QKVBias       bool              `json:"qkv_bias"`
	ID2Label      map[string]string `json:"id2label"`
	Label2ID      map[string]int    `json:"label2id"`
	Rescale       float64           `json:"rescale_factor"`
	Mean          []float64         `json:"image_mean"`
	Std           []float64         `json:"image_std"`
	TorchDtype    string            `json:"torch_dtype,omitempty"`
	Ecospa        *Kept             `json:"ecospa,omitempty"`

	classes int
	image   Image
}

const deitTeacher = "DeiTForImageClassificationWithTeacher"

func init() {
	register("vit", family{parse: parseViT, new: newViT})
	register("deit", family{parse: parseViT, new: func(s Sizes) (Model, error) {
		return nil, fmt.Errorf("model.family is deit: give vit, and distilled: true for a distillation token")
	}})
}

func defaultViT() *vit {
	return &vit{
		Hidden: 768, Layers: 12, Heads: 12, Intermediate: 3072, ImageSize: 224, PatchSize: 16, Channels: 3,
		Activation: "gelu", Eps: 1e-12, InitRange: 0.02, QKVBias: true,
	}
}

func newViT(s Sizes) (Model, error) {
	m := defaultViT()
	m.ModelType, m.Architectures = "vit", []string{"ViTForImageClassification"}
	if s.Distilled {
		m.ModelType, m.Architectures = "deit", []string{deitTeacher}
	}
	if s.FFN == 0 {
		s.FFN = 4 * s.Width
	}
	switch {
	case s.KVHeads != s.Heads:
		return nil, fmt.Errorf("model.kv_heads is %d, but vit has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return nil, fmt.Errorf("model.head_dim is %d, but vit's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	m.Hidden, m.Layers, m.Heads, m.Intermediate = s.Width, s.Layers, s.Heads, s.FFN
	m.ImageSize, m.PatchSize, m.Channels, m.classes = s.ImageSize, s.PatchSize, s.Channels, s.Labels
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("model.%w", err)
	}
	return m, nil
}

func parseViT(config []byte) (Model, error) {
	m := defaultViT()
	if err := strictJSON(config, m, vitIgnored); err != nil {
		return nil, err
	}
	var more struct {
		Labels int `json:"num_labels"`
	}
	if err := json.Unmarshal(config, &more); err != nil {
		return nil, fmt.Errorf("config.json: num_labels: %w", err)
	}
	// What transformers assumes without labels.
	m.classes = 2
	if more.Labels != 0 {
		m.classes = more.Labels
	}
	if len(m.ID2Label) > 0 {
		if m.classes = len(m.ID2Label); more.Labels != 0 && more.Labels != m.classes {
			return nil, fmt.Errorf("config.json: num_labels is %d, but id2label has %d", more.Labels, m.classes)
		}
		m.image.Classes = make([]string, m.classes)
		for i := range m.classes {
			name, ok := m.ID2Label[fmt.Sprint(i)]
			if !ok {
				return nil, fmt.Errorf("config.json: id2label has %d labels, but none of class %d", m.classes, i)
			}
			m.image.Classes[i] = name
		}
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

// vitIgnored are keys that do not change what the model computes here.
var vitIgnored = []string{
	"hidden_dropout_prob", "attention_probs_dropout_prob", "encoder_stride", "pooler_output_size", "pooler_act", "problem_type", "num_labels",
}

func (m *vit) validate() error {
	if len(m.Architectures) == 0 {
		m.Architectures = []string{"ViTForImageClassification"}
		if m.ModelType == "deit" {
			m.Architectures[0] = "DeiTForImageClassification"
		}
	}
	switch a := m.Architectures[0]; {
	case m.ModelType == "vit" && a != "ViTForImageClassification",
		m.ModelType == "deit" && a != "DeiTForImageClassification" && a != deitTeacher:
		return fmt.Errorf("architectures has %s, expected an image classifier of the family %s", short(a), m.ModelType)
	case m.Layers < 1 || m.Layers > maxLayers || m.Heads < 1 || m.Hidden < 1 || m.Hidden%m.Heads != 0:
		return fmt.Errorf("num_hidden_layers %d, hidden_size %d, num_attention_heads %d: expected positive, hidden_size divisible by heads", m.Layers, m.Hidden, m.Heads)
	case m.Intermediate < 1 || m.Hidden > 1<<20 || m.Intermediate > 1<<24:
		return fmt.Errorf("intermediate_size is %d, expected positive", m.Intermediate)
	case m.ImageSize < 1 || m.ImageSize > maxSide || m.PatchSize < 1 || m.ImageSize%m.PatchSize != 0:
		return fmt.Errorf("image_size is %d, patch_size %d: expected 1 to %d, image_size divisible by patch_size", m.ImageSize, m.PatchSize, maxSide)
	case m.Channels != 1 && m.Channels != 3:
		return fmt.Errorf("num_channels is %d, expected 1 (grey) or 3 (colours)", m.Channels)
	case m.classes < 1 || m.classes > maxClasses:
		return fmt.Errorf("num_labels is %d, expected 1 to %d", m.classes, maxClasses)
	case m.Activation != "gelu" && m.Activation != "gelu_new" && m.Activation != "gelu_pytorch_tanh":
		return fmt.Errorf("hidden_act is %q, expected gelu, gelu_new or gelu_pytorch_tanh", short(m.Activation))
	case !(m.Eps >= 0 && m.Eps < 1):
		return fmt.Errorf("layer_norm_eps is %g, expected 0 to 1", m.Eps)
	}
	if err := m.normalisation(); err != nil {
		return err
	}
	if m.Ecospa != nil {
		return m.Ecospa.check(m.Layers, m.dense())
	}
	return nil
}

// maxSide bounds images, in pixels a side; maxClasses their classes.
const (
	maxSide    = 4096
	maxClasses = 1 << 16
)

// normalisation takes over what happens to pixels; the defaults are those of the
// families' image processors.
func (m *vit) normalisation() error {
	for _, v := range []struct {
		key string
		x   []float64
	}{{"image_mean", m.Mean}, {"image_std", m.Std}} {
		if v.x != nil && len(v.x) != m.Channels {
			return fmt.Errorf("%s has %d values, expected one for each of %d channels", v.key, len(v.x), m.Channels)
		}
		for _, x := range v.x {
			if v.key == "image_std" && !(x > 0) {
				return fmt.Errorf("image_std has %g, expected above 0", x)
			}
		}
	}
	i := &m.image
	i.Channels, i.Side, i.Rescale, i.Mean, i.Std = m.Channels, m.ImageSize, m.Rescale, m.Mean, m.Std
	if i.Rescale == 0 {
		i.Rescale = 1.0 / 255
	}
	for c := range m.Channels {
		mean, std := 0.5, 0.5
		if m.ModelType == "deit" && m.Channels == 3 {
			mean, std = []float64{0.485, 0.456, 0.406}[c], []float64{0.229, 0.224, 0.225}[c]
		}
		if m.Mean == nil {
			i.Mean = append(i.Mean, mean)
		}
		if m.Std == nil {
			i.Std = append(i.Std, std)
		}
	}
	return nil
}

// preprocess takes over what a preprocessor_config.json says and config.json does not.
func (m *vit) preprocess(text []byte) error {
	var p struct {
		Normalise *bool     `json:"do_normalize"`
		Scale     *bool     `json:"do_rescale"`
		Rescale   float64   `json:"rescale_factor"`
		Mean      []float64 `json:"image_mean"`
		Std       []float64 `json:"image_std"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if m.Mean != nil || m.Std != nil || m.Rescale != 0 {
		return nil
	}
	m.Rescale, m.Mean, m.Std = p.Rescale, p.Mean, p.Std
	if p.Scale != nil && !*p.Scale {
		m.Rescale = 1
	}
	if p.Normalise != nil && !*p.Normalise {
		m.Mean, m.Std = make([]float64, m.Channels), make([]float64, m.Channels)
		for c := range m.Std {
			m.Std[c] = 1
		}
	}
	return m.normalisation()
}

// Reclassify keeps the pixels' scale that the model was trained with.
func (m *vit) Reclassify(classes []string) (Classifier, error) {
	if len(classes) < 1 || len(classes) > maxClasses {
		return nil, fmt.Errorf("%d classes, expected 1 to %d", len(classes), maxClasses)
	}
	n := *m
	n.classes, n.ID2Label, n.image.Classes = len(classes), nil, slices.Clone(classes)
	return &n, nil
}

func (m *vit) headDim() int  { return m.Hidden / m.Heads }
func (m *vit) patches() int  { return (m.ImageSize / m.PatchSize) * (m.ImageSize / m.PatchSize) }
func (m *vit) teacher() bool { return m.Architectures[0] == deitTeacher }

// tokens is the number of tokens before the patches: the class token, and deit's
// distillation token.
func (m *vit) tokens() int {
	if m.ModelType == "deit" {
		return 2
	}
	return 1
}

func (m *vit) dense() Widths {
	return Widths{KV: m.Heads, QK: m.headDim(), VO: m.headDim(), FFN: m.Intermediate}
}

func (m *vit) Family() string               { return m.ModelType }
func (m *vit) Context() int                 { return m.patches() + m.tokens() }
func (m *vit) Vocab() int                   { return m.classes }
func (m *vit) Image() *Image                { return &m.image }
func (m *vit) Specs() []param.Spec          { return m.specs(widths(m.Ecospa, m.Layers, m.dense())) }
func (m *vit) DenseSpecs() []param.Spec     { return m.specs(widths(nil, m.Layers, m.dense())) }
func (m *vit) Restore(set *param.Set) error { return nil }
func (m *vit) Head(set *param.Set) (w, bias *param.Param) {
	return set.Param("head"), set.Param("head_bias")
}

func (m *vit) Scale() float64                { return 1 / math.Sqrt(float64(m.headDim())) }
func (m *vit) Cache(set *param.Set) [][2]int { return nil }
func (m *vit) layerNorm() (eps float32)      { return float32(m.Eps) }
func (m *vit) tanh() bool                    { return m.Activation != "gelu" }

func (m *vit) specs(layers []Widths) []param.Spec {
	weight := param.Init{Std: float32(m.InitRange)}
	e := param.Dim{Name: "embed", Size: m.Hidden}
	classes := param.Dim{Name: ClassesDim, Size: m.classes}
	one := param.Dim{Size: 1}
	norm := func(name string) []param.Spec {
		return []param.Spec{
			{Name: name + "_gain", Dims: []param.Dim{e}, Block: name, Init: param.Init{Mean: 1}},
			{Name: name + "_bias", Dims: []param.Dim{e}, Block: name},
		}
	}
	specs := []param.Spec{
		{Name: "patch", Dims: []param.Dim{e, {Size: m.Channels * m.PatchSize * m.PatchSize}}, Decay: true, Init: weight},
		{Name: "patch_bias", Dims: []param.Dim{e}},
		{Name: "class_token", Dims: []param.Dim{one, e}, Block: "tokens", Init: weight},
	}
	if m.tokens() > 1 {
		specs = append(specs, param.Spec{Name: "distill_token", Dims: []param.Dim{one, e}, Block: "tokens", Init: weight})
	}
	specs = append(specs, param.Spec{Name: "positions", Dims: []param.Dim{{Name: "positions", Size: m.Context()}, e}, Init: weight})
	for i, w := range layers {
		kv := param.Dim{Name: dim(i, "kv"), Size: w.KV}
		qk := param.Dim{Name: dim(i, "qk"), Size: w.QK, Per: kv.Name}
		vo := param.Dim{Name: dim(i, "vo"), Size: w.VO, Per: kv.Name}
		ffn := param.Dim{Name: dim(i, "ffn"), Size: w.FFN}
		at := func(s string) string { return dim(i, s) }
		specs = append(specs, norm(at("norm1"))...)
		specs = append(specs,
			param.Spec{Name: at("q"), Dims: []param.Dim{kv, one, qk, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("k"), Dims: []param.Dim{kv, qk, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("v"), Dims: []param.Dim{kv, vo, e}, Block: at("qkv"), Decay: true, Init: weight})
		if m.QKVBias {
			specs = append(specs,
				param.Spec{Name: at("q_bias"), Dims: []param.Dim{kv, one, qk}, Block: at("qkv_bias")},
				param.Spec{Name: at("k_bias"), Dims: []param.Dim{kv, qk}, Block: at("qkv_bias")},
				param.Spec{Name: at("v_bias"), Dims: []param.Dim{kv, vo}, Block: at("qkv_bias")})
		}
		specs = append(specs,
			param.Spec{Name: at("o"), Dims: []param.Dim{kv, one, vo, e}, Decay: true, Init: weight},
			param.Spec{Name: at("o_bias"), Dims: []param.Dim{e}})
		specs = append(specs, norm(at("norm2"))...)
		specs = append(specs,
			param.Spec{Name: at("in"), Dims: []param.Dim{ffn, e}, Decay: true, Init: weight},
			param.Spec{Name: at("in_bias"), Dims: []param.Dim{ffn}},
			param.Spec{Name: at("out"), Dims: []param.Dim{ffn, e}, Decay: true, Init: weight},
			param.Spec{Name: at("out_bias"), Dims: []param.Dim{e}})
	}
	specs = append(specs, norm("norm")...)
	heads := []string{"head"}
	if m.teacher() {
		heads = append(heads, "distill_head")
	}
	for _, h := range heads {
		specs = append(specs,
			param.Spec{Name: h, Dims: []param.Dim{classes, e}, Decay: true, Init: weight},
			param.Spec{Name: h + "_bias", Dims: []param.Dim{classes}})
	}
	return specs
}

// classToken is the class token's final hidden states (B, E), and those of the
// distillation token where it has a classifier (else nil). Inference computes the
// last feed-forward for what is read alone.
func (m *vit) classToken(b *graph.Builder, B, T, from int, infer bool) (class, distilled *graph.Node) {
	if T != m.Context() {
		b.Fail(fmt.Errorf("model: an image of %d x %d is %d tokens, found %d", m.ImageSize, m.ImageSize, m.Context(), T))
		return nil, nil
	}
	infer = infer && !m.teacher()
	x := start(b, B*T, m.Hidden, from, func() *graph.Node {
		x := b.Patches(b.Floats("pixels", B, m.image.Size()), m.Channels, m.ImageSize, m.ImageSize, m.PatchSize)
		x = b.Linear(x, b.Param("patch"), b.Param("patch_bias")) // (B·patches, E)
		x = b.Prepend(x, b.Param("tokens"), m.patches())         // (B·T, E)
		return b.AddRows(x, b.Param("positions"), T)
	}) // (N, E)
	for i := from; i < m.Layers; i++ {
		b.Site(dim(i, "input"), x)
		at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
		w := Layer(b.Set(), i)
		s := graph.Shape{B: B, T: T, G: w.KV, R: 1, QK: w.QK, VO: w.VO, Scale: float32(m.Scale())}
		endLayer, endAttention := checkpoints(b)
		h := b.LayerNorm(x, at("norm1"), m.layerNorm())
		qkv := b.Linear(h, at("qkv"), at("qkv_bias")) // (N, G·(2·QK + VO))
		ctx := attend(b, qkv, s, i, nil, 1)           // (N, G·VO)
		if infer && i == m.Layers-1 {
			ctx, x = b.Rows(ctx, T, 0), b.Rows(x, T, 0) // N = B from here on
		}
		x = b.LinearIn(ctx, at("o"), at("o_bias"), x) // (N, E)
		endAttention()
		h = b.LayerNorm(x, at("norm2"), m.layerNorm())
		h = b.Linear(h, at("in"), at("in_bias")) // (N, F)
		h = b.GELU(h, m.tanh())                  // (N, F)
		b.Site(dim(i, "hidden"), h)
		b.Tap(dim(i, "ffn"), h, B, 0, w.FFN, 1)
		x = b.LinearIn(h, at("out"), at("out_bias"), x) // (N, E)
		endLayer()
	}
	row := func(i int) *graph.Node {
		y := x
		if !infer {
			y = b.Rows(x, T, i) // (B, E)
		}
		return b.LayerNorm(y, b.Param("norm"), m.layerNorm())
	}
	class = row(0)
	if m.teacher() {
		distilled = row(1)
	}
	return class, distilled
}

func (m *vit) Loss(b *graph.Builder, B, T, from int) {
	class, distilled := m.classToken(b, B, T, from, false)
	targets, scale := b.IDs("targets", B), b.Scalar("scale")
	if distilled != nil {
		scale = b.Scale(scale, 0.5)
		b.HeadLoss(distilled, b.Param("distill_head"), b.Param("distill_head_bias"), targets, scale, b.Smoothing())
	}
	b.HeadLoss(class, b.Param("head"), b.Param("head_bias"), targets, scale, b.Smoothing())
}

func (m *vit) Decode(b *graph.Builder, cache *graph.Cache, B, T int, _ bool) {
	if cache != nil {
		b.Fail(fmt.Errorf("model: %s classifies images, it does not continue text", m.ModelType))
		return
	}
	class, distilled := m.classToken(b, B, T, 0, true)
	logits := b.Linear(class, b.Param("head"), b.Param("head_bias")) // (B, classes)
	if distilled != nil {
		logits = b.Scale(b.Add(logits, b.Linear(distilled, b.Param("distill_head"), b.Param("distill_head_bias"))), 0.5)
	}
	b.Output("logits", logits)
}

func (m *vit) Config(set *param.Set) ([]byte, error) {
	c := *m
	c.Ecospa = keptOf(set, m.Layers, m.headDim(), count(m.DenseSpecs()), false)
	c.Rescale, c.Mean, c.Std = m.image.Rescale, m.image.Mean, m.image.Std
	c.ID2Label, c.Label2ID = map[string]string{}, map[string]int{}
	for i := range m.classes {
		name := fmt.Sprintf("LABEL_%d", i) // what transformers calls classes without names
		if m.image.Classes != nil {
			name = m.image.Classes[i]
		}
		c.ID2Label[fmt.Sprint(i)], c.Label2ID[name] = name, i
	}
	return json.MarshalIndent(&c, "", "  ")
}
