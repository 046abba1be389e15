package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

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
	Label2ID      labelIDs          `json:"label2id"`
	Rescale       float64           `json:"rescale_factor"`
	Mean          []float64         `json:"image_mean"`
	Std           []float64         `json:"image_std"`
	Ecospa        *Kept             `json:"ecospa,omitempty"`

	classes  int
	image    Image
	backbone bool    // a bare model, whose classifier is yet to be made
	dino     *dinov2 // nil of the other two
	unknown  []string
	extra    rawObject
}

// labelIDs is label2id, which repeats id2label: what it says is not read, some write
// its ids as strings.
type labelIDs map[string]int

func (l *labelIDs) UnmarshalJSON([]byte) error { return nil }

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
	if err := parsed(m, m, config, func() error { return nil }); err != nil {
		return nil, err
	}
	return m, nil
}

// parsed reads config.json into keys, which set is told of, and makes m of them.
func parsed(m *vit, keys any, config []byte, set func() error) (err error) {
	if m.unknown, m.extra, err = readConfig(config, keys); err != nil {
		return err
	}
	if err := set(); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	var more struct {
		Labels int `json:"num_labels"`
	}
	if err := json.Unmarshal(config, &more); err != nil {
		return fmt.Errorf("config.json: num_labels: %w", err)
	}
	delete(m.extra, "num_labels") // labels are written by name
	// What transformers assumes without labels.
	m.classes = 2
	if more.Labels != 0 {
		m.classes = more.Labels
	}
	if len(m.ID2Label) > 0 {
		if m.classes = len(m.ID2Label); more.Labels != 0 && more.Labels != m.classes {
			return fmt.Errorf("config.json: num_labels is %d, but id2label has %d", more.Labels, m.classes)
		}
		m.image.Classes = make([]string, m.classes)
		for i := range m.classes {
			name, ok := m.ID2Label[fmt.Sprint(i)]
			if !ok {
				return fmt.Errorf("config.json: id2label has %d labels, but none of class %d", m.classes, i)
			}
			m.image.Classes[i] = name
		}
	}
	if err := m.validate(); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	return nil
}

func (m *vit) validate() error {
	if len(m.Architectures) == 0 {
		m.Architectures = []string{"ViTForImageClassification"}
		switch {
		case m.ModelType == "deit":
			m.Architectures[0] = "DeiTForImageClassification"
		case m.dino != nil:
			m.Architectures[0] = "Dinov2ForImageClassification"
		}
	}
	switch a := m.Architectures[0]; {
	case a == "ViTModel" && m.ModelType == "vit", a == "DeiTModel" && m.ModelType == "deit", a == "Dinov2Model" && m.dino != nil:
		m.backbone = true
		fallthrough
	case a == "ViTForImageClassification" && m.ModelType == "vit", (a == "DeiTForImageClassification" || a == deitTeacher) && m.ModelType == "deit",
		a == "Dinov2ForImageClassification" && m.dino != nil:
	default:
		return fmt.Errorf("architectures has %s, expected an image classifier of the family %s, or its bare model", short(a), m.ModelType)
	}
	switch {
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
		return m.Ecospa.check(m.Arch())
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
	i.Channels, i.Side, i.Patch, i.Rescale, i.Mean, i.Std = m.Channels, m.ImageSize, m.PatchSize, m.Rescale, m.Mean, m.Std
	if i.Rescale == 0 {
		i.Rescale = 1.0 / 255
	}
	for c := range m.Channels {
		mean, std := 0.5, 0.5
		if m.ModelType != "vit" && m.Channels == 3 {
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

// Reclassify keeps the pixels' scale that the model was trained with.
func (m *vit) Reclassify(classes []string) (Classifier, error) {
	if len(classes) < 1 || len(classes) > maxClasses {
		return nil, fmt.Errorf("%d classes, expected 1 to %d", len(classes), maxClasses)
	}
	n := *m
	n.classes, n.ID2Label, n.image.Classes = len(classes), nil, slices.Clone(classes)
	if m.backbone {
		n.backbone, n.Architectures = false, []string{strings.TrimSuffix(m.Architectures[0], "Model") + "ForImageClassification"}
	}
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

// Arch is made anew: the caller may have changed what is learned from data.
func (m *vit) Arch() *Arch {
	act := TanhGELU
	if m.Activation == "gelu" {
		act = GELU
	}
	a := &Arch{
		Layers: m.Layers, Hidden: m.Hidden, FFN: m.Intermediate, Vocab: m.classes, Positions: m.Context(),
		Heads: m.Heads, KVHeads: m.Heads, HeadDim: m.headDim(), Image: &m.image, LayerNorm: true, Eps: m.Eps, PreNorm: true,
		Learned: true, Scale: m.Scale(), Act: act, InitRange: m.InitRange,
		Bias: map[param.Role]bool{param.Q: m.QKVBias, param.O: true, param.Up: true, param.Down: true},
	}
	if d := m.dino; d != nil {
		if a.LayerScale = d.LayerScale; d.SwiGLU {
			a.Gated, a.Act = true, SiLU
		}
		a.Scaled = true
	}
	return a
}

func (m *vit) Family() string               { return m.ModelType }
func (m *vit) Context() int                 { return m.patches() + m.tokens() }
func (m *vit) Vocab() int                   { return m.classes }
func (m *vit) Image() *Image                { return &m.image }
func (m *vit) Specs() []param.Spec          { return m.specs(m.Arch().widths(m.Ecospa)) }
func (m *vit) DenseSpecs() []param.Spec     { return m.specs(m.Arch().widths(nil)) }
func (m *vit) Restore(set *param.Set) error { return restore(set, m.Ecospa, 0) }
func (m *vit) Head(set *param.Set) (w, bias *param.Param) {
	return set.Param("head"), set.Param("head_bias")
}

func (m *vit) Scale() float64                { return 1 / math.Sqrt(float64(m.headDim())) }
func (m *vit) Cache(set *param.Set) [][2]int { return nil }
func (m *vit) UnknownKeys() []string         { return m.unknown }

func (m *vit) specs(layers []Widths) []param.Spec {
	s := newSpecs(m.Arch())
	row := []param.Dim{{Size: 1}, s.e}
	classes := param.Dim{Name: ClassesDim, Size: m.classes}
	s.outside("patch", param.Patch, []param.Dim{s.e, {Size: m.Channels * m.PatchSize * m.PatchSize}}, true, s.weight)
	s.outside("patch_bias", param.Patch.Bias(), []param.Dim{s.e}, false, param.Init{})
	s.add("class_token", "tokens", param.ClassToken, row, s.weight)
	if m.tokens() > 1 {
		s.add("distill_token", "tokens", param.DistillToken, row, s.weight)
	}
	if m.dino != nil && m.dino.MaskToken {
		s.outside("mask_token", param.MaskToken, row, false, param.Init{}) // kept, not used
	}
	s.outside("positions", param.Positions, []param.Dim{{Name: "positions", Size: m.Context()}, s.e}, false, s.weight)
	for i, w := range layers {
		s.layer(i, w)
	}
	s.at = param.Outside
	s.norm("norm", param.FinalNorm)
	width := s.e
	if m.dino != nil {
		width = param.Dim{Size: 2 * s.e.Size} // the class token, and the mean of the patches
	}
	heads := []param.Role{param.Head}
	if m.teacher() {
		heads = append(heads, param.DistillHead)
	}
	for _, h := range heads {
		s.outside(string(h), h, []param.Dim{classes, width}, true, s.weight)
		s.outside(string(h.Bias()), h.Bias(), []param.Dim{classes}, false, param.Init{})
	}
	return s.list
}

// classToken is what the classifier reads: the class token's final hidden states (B, E), of
// dinov2 with the mean of the patches' beside it (B, 2E); and those of the
// distillation token where it has a classifier (else nil). Inference computes the
// last feed-forward for what is read alone.
func (m *vit) classToken(b *graph.Builder, B, T, from int, infer bool) (class, distilled *graph.Node) {
	if m.backbone {
		b.Fail(errors.New("model: it is a bare model without a classifier: fine-tune it with new classes first"))
		return nil, nil
	}
	if T != m.Context() {
		b.Fail(fmt.Errorf("model: an image of %d x %d is %d tokens, found %d", m.ImageSize, m.ImageSize, m.Context(), T))
		return nil, nil
	}
	infer = infer && !m.teacher() && m.dino == nil
	x := start(b, B*T, m.Hidden, from, func() *graph.Node {
		x := b.Patches(b.Floats("pixels", B, m.image.Size()), m.Channels, m.ImageSize, m.ImageSize, m.PatchSize)
		x = b.Linear(x, b.Param("patch"), b.Param("patch_bias")) // (B·patches, E)
		x = b.Prepend(x, b.Param("tokens"), m.patches())         // (B·T, E)
		return b.AddRows(x, b.Param("positions"), T)
	}) // (N, E)
	l := &lowering{a: m.Arch().of(b.Set()), b: b, B: B, T: T}
	for i := from; i < l.a.Layers; i++ {
		pick := every
		if infer && i == l.a.Layers-1 {
			pick = func(x *graph.Node) *graph.Node { return b.Rows(x, T, 0) } // N = B from here on
		}
		x = l.layer(x, i, pick)
	}
	b.Site("output", x)
	if m.dino != nil {
		return b.ClassMean(l.norm(x, b.Param("norm")), T), nil
	}
	row := func(i int) *graph.Node {
		y := x
		if !infer {
			y = b.Rows(x, T, i) // (B, E)
		}
		return l.norm(y, b.Param("norm"))
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
	if b.Err() != nil {
		return
	}
	if distilled != nil {
		scale = b.Scale(scale, 0.5)
		b.HeadLoss(graph.LossOperands{X: distilled, W: b.Param("distill_head"), Bias: b.Param("distill_head_bias"), Targets: targets, Scale: scale}, graph.Head{Smoothing: b.Smoothing()})
	}
	b.HeadLoss(graph.LossOperands{X: class, W: b.Param("head"), Bias: b.Param("head_bias"), Targets: targets, Scale: scale}, graph.Head{Smoothing: b.Smoothing()})
}

func (m *vit) Decode(b *graph.Builder, B, T int, _ bool) {
	class, distilled := m.classToken(b, B, T, 0, true)
	logits := b.Linear(class, b.Param("head"), b.Param("head_bias")) // (B, classes)
	if distilled != nil {
		logits = b.Scale(b.Add(logits, b.Linear(distilled, b.Param("distill_head"), b.Param("distill_head_bias"))), 0.5)
	}
	b.Output("logits", logits)
}

func (m *vit) Config(set *param.Set) ([]byte, error) {
	return m.config(keptOf(set, m.Arch(), count(m.DenseSpecs())))
}

// Shaped implements Model.
func (m *vit) Shaped(s Shape) (map[string]any, error) {
	c := *m
	c.Intermediate = s.FFN
	text, err := c.config(nil)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

func (m *vit) config(own *Kept) ([]byte, error) {
	c := *m
	c.Ecospa = nil
	c.Rescale, c.Mean, c.Std = m.image.Rescale, m.image.Mean, m.image.Std
	c.ID2Label, c.Label2ID = map[string]string{}, labelIDs{}
	for i := range m.classes {
		name := fmt.Sprintf("LABEL_%d", i) // what transformers calls classes without names
		if m.image.Classes != nil {
			name = m.image.Classes[i]
		}
		c.ID2Label[fmt.Sprint(i)], c.Label2ID[name] = name, i
	}
	if m.dino != nil {
		return writeConfig(m.dino.of(&c), m.extra, own)
	}
	return writeConfig(&c, m.extra, own)
}

// Present implements Model.
func (m *vit) Present(set *param.Set) (Model, error) {
	n := *m
	n.Layers, n.Ecospa = len(set.LayerOrigin()), nil
	return &n, nil
}
