package model

import (
	"fmt"
	"sort"
	"strings"
)

// Sizes is the model section of a run file: a size by name, or a family with
// explicit fields; explicit fields override the name's.
type Sizes struct {
	Name      string  `yaml:"name"`       // llama-60m, gpt2-small, ...: see Names
	Family    string  `yaml:"family"`     // a family by its model_type in config.json: llama, gpt2, qwen3, gemma3_text, vit, ...
	Layers    int     `yaml:"layers"`     // transformer blocks
	Width     int     `yaml:"width"`      // E, the residual width (hidden_size)
	Heads     int     `yaml:"heads"`      // H, query heads
	KVHeads   int     `yaml:"kv_heads"`   // G, key/value heads; default (0) as many as heads
	HeadDim   int     `yaml:"head_dim"`   // width of a head; default (0) width / heads
	FFN       int     `yaml:"ffn"`        // F, feed-forward width; default (0) 4·width for gpt2, gpt_neox and vit, 8/3·width rounded up to 32 for the others
	Vocab     int     `yaml:"vocab"`      // V; default (0) the tokenizer's
	Context   int     `yaml:"context"`    // longest sequence, tokens; default (0) train.context
	Tied      *bool   `yaml:"tied"`       // the head shares the embedding's matrix; default the family's: true for gpt2, gemma2, gemma3_text, minicpm and smollm3
	RopeTheta float64 `yaml:"rope_theta"` // base of the rotation frequencies; default (0) the family's, 10000 for llama

	// vit only:
	ImageSize int  `yaml:"image_size"`   // pixels per side; default (0) 224
	PatchSize int  `yaml:"patch_size"`   // pixels per side of the squares that become tokens; default (0) 16
	Channels  int  `yaml:"num_channels"` // 1 grey or 3 colours; default (0) 3
	Labels    int  `yaml:"num_labels"`   // classes; default (0) those of the data
	Distilled bool `yaml:"distilled"`    // a distillation token with a classifier of its own, as DeiT's
}

// named are the sizes known by name; those of PyTorch's yardstick and the paper's.
var named = map[string]Sizes{
	"gpt2-mini":   {Family: "gpt2", Layers: 6, Width: 384, Heads: 6, FFN: 1536, Vocab: 8192},
	"gpt2-small":  {Family: "gpt2", Layers: 12, Width: 768, Heads: 12, FFN: 3072, Vocab: 50257},
	"gpt2-medium": {Family: "gpt2", Layers: 24, Width: 1024, Heads: 16, FFN: 4096, Vocab: 50257},
	"llama-mini":  {Family: "llama", Layers: 6, Width: 384, Heads: 6, KVHeads: 2, FFN: 1024, Vocab: 8192},
	"llama-60m":   {Family: "llama", Layers: 8, Width: 512, Heads: 8, FFN: 1376, Vocab: 32000},
	"llama-130m":  {Family: "llama", Layers: 12, Width: 768, Heads: 12, FFN: 2048, Vocab: 32000},
	"llama-350m":  {Family: "llama", Layers: 24, Width: 1024, Heads: 16, FFN: 2736, Vocab: 32000},
	"deit-tiny":   {Family: "vit", Layers: 12, Width: 192, Heads: 3, FFN: 768, Labels: 1000},
	"deit-small":  {Family: "vit", Layers: 12, Width: 384, Heads: 6, FFN: 1536, Labels: 1000},
	"deit-base":   {Family: "vit", Layers: 12, Width: 768, Heads: 12, FFN: 3072, Labels: 1000},
	"llama-1b":    {Family: "llama", Layers: 24, Width: 2048, Heads: 32, FFN: 5461, Vocab: 32000},
	"qwen3-mini":  {Family: "qwen3", Layers: 6, Width: 1024, Heads: 16, KVHeads: 8, HeadDim: 128, FFN: 3072, Vocab: 151936, Tied: yes(), RopeTheta: 1e6}, // six layers of qwen3-0.6b

	// Shapes of published models.
	"smollm2-135m": {Family: "llama", Layers: 30, Width: 576, Heads: 9, KVHeads: 3, FFN: 1536, Vocab: 49152, Tied: yes(), RopeTheta: 1e5},
	"llama-3.2-1b": {Family: "llama", Layers: 16, Width: 2048, Heads: 32, KVHeads: 8, FFN: 8192, Vocab: 128256, Tied: yes(), RopeTheta: 5e5},
	"llama-3.2-3b": {Family: "llama", Layers: 28, Width: 3072, Heads: 24, KVHeads: 8, FFN: 8192, Vocab: 128256, Tied: yes(), RopeTheta: 5e5},
	"llama-3.1-8b": {Family: "llama", Layers: 32, Width: 4096, Heads: 32, KVHeads: 8, FFN: 14336, Vocab: 128256, RopeTheta: 5e5},
	"qwen3-0.6b":   {Family: "qwen3", Layers: 28, Width: 1024, Heads: 16, KVHeads: 8, HeadDim: 128, FFN: 3072, Vocab: 151936, Tied: yes(), RopeTheta: 1e6},
	"qwen3-1.7b":   {Family: "qwen3", Layers: 28, Width: 2048, Heads: 16, KVHeads: 8, HeadDim: 128, FFN: 6144, Vocab: 151936, Tied: yes(), RopeTheta: 1e6},
	"qwen3-4b":     {Family: "qwen3", Layers: 36, Width: 2560, Heads: 32, KVHeads: 8, HeadDim: 128, FFN: 9728, Vocab: 151936, Tied: yes(), RopeTheta: 1e6},
	"qwen3-8b":     {Family: "qwen3", Layers: 36, Width: 4096, Heads: 32, KVHeads: 8, HeadDim: 128, FFN: 12288, Vocab: 151936, RopeTheta: 1e6},
}

func yes() *bool { t := true; return &t }

// Names lists the sizes known by name.
func Names() []string {
	var names []string
	for n := range named {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// resolve fills in the name's fields, then the defaults that depend on others.
func (s Sizes) resolve() (Sizes, error) {
	if s.Name != "" {
		base, ok := named[s.Name]
		if !ok {
			return s, fmt.Errorf("model.name is %q, expected one of %s", s.Name, strings.Join(Names(), ", "))
		}
		if s.Family != "" && s.Family != base.Family {
			return s, fmt.Errorf("model.family is %q, but model.name %s is a %s", s.Family, s.Name, base.Family)
		}
		s.Family = base.Family
		for _, f := range []struct {
			to   *int
			from int
		}{
			{&s.Layers, base.Layers}, {&s.Width, base.Width}, {&s.Heads, base.Heads}, {&s.KVHeads, base.KVHeads},
			{&s.FFN, base.FFN}, {&s.Vocab, base.Vocab}, {&s.Labels, base.Labels}, {&s.HeadDim, base.HeadDim},
		} {
			if *f.to == 0 {
				*f.to = f.from
			}
		}
		if s.Tied == nil {
			s.Tied = base.Tied
		}
		if s.RopeTheta == 0 {
			s.RopeTheta = base.RopeTheta
		}
	}
	if err := s.images(); err != nil {
		return s, err
	}
	if s.KVHeads == 0 {
		s.KVHeads = s.Heads
	}
	if s.HeadDim == 0 && s.Heads > 0 {
		if s.Width%s.Heads != 0 {
			return s, fmt.Errorf("model.width is %d, which model.heads, %d, does not divide; give model.head_dim", s.Width, s.Heads)
		}
		s.HeadDim = s.Width / s.Heads
	}
	return s, s.check()
}

// images fills in what vit has instead of a vocabulary and a context, which must
// not be given; other families have no images.
func (s *Sizes) images() error {
	if s.Family != "vit" {
		if s.ImageSize != 0 || s.PatchSize != 0 || s.Channels != 0 || s.Labels != 0 || s.Distilled {
			return fmt.Errorf("model.image_size, patch_size, num_channels, num_labels and distilled apply to vit alone, the family is %q", s.Family)
		}
		return nil
	}
	if s.Vocab != 0 || s.Context != 0 || s.Tied != nil || s.RopeTheta != 0 {
		return fmt.Errorf("model.vocab, context, tied and rope_theta do not apply to vit: its image_size, patch_size and num_labels decide")
	}
	for _, v := range []struct {
		x     *int
		given int
	}{{&s.ImageSize, 224}, {&s.PatchSize, 16}, {&s.Channels, 3}} {
		if *v.x == 0 {
			*v.x = v.given
		}
	}
	s.Vocab, s.Context = s.Labels, 1 // the family checks them
	return nil
}

// check reports the first size that makes no sense, by key.
func (s Sizes) check() error {
	if s.Family == "" {
		return fmt.Errorf("model has neither name nor family; names are %s", strings.Join(Names(), ", "))
	}
	vocab := "vocab"
	if s.Family == "vit" {
		vocab = "num_labels"
	}
	for _, v := range []struct {
		key   string
		x, hi int
	}{
		{"layers", s.Layers, maxLayers}, {"width", s.Width, 1 << 20}, {"heads", s.Heads, 1 << 12}, {"kv_heads", s.KVHeads, s.Heads},
		{"head_dim", s.HeadDim, 1 << 16}, {vocab, s.Vocab, 1 << 24}, {"context", s.Context, 1 << 24},
	} {
		if v.x < 1 || v.x > v.hi {
			return fmt.Errorf("model.%s is %d, expected 1 to %d", v.key, v.x, v.hi)
		}
	}
	if s.FFN < 0 || s.FFN > 1<<22 {
		return fmt.Errorf("model.ffn is %d, expected 1 to %d", s.FFN, 1<<22)
	}
	if s.Heads%s.KVHeads != 0 {
		return fmt.Errorf("model.heads is %d, which model.kv_heads, %d, does not divide", s.Heads, s.KVHeads)
	}
	return nil
}

// Images reports whether the family reads images instead of text.
func (s Sizes) Images() bool { return s.Family == "vit" || named[s.Name].Family == "vit" }

// Encoder reports whether the family is an encoder, which learns masked text.
func (s Sizes) Encoder() bool {
	if s.Family == "" {
		s.Family = named[s.Name].Family
	}
	return encoders[s.Family]
}

// Validate reports the first value that makes no sense, leaving out what
// depends on other sections of the run file (vocab and context).
func (s Sizes) Validate() error {
	if s.Images() {
		if s.Labels == 0 && s.Name == "" {
			s.Labels = 1
		}
	} else {
		if s.Vocab == 0 && s.Name == "" {
			s.Vocab = 1
		}
		if s.Context == 0 {
			s.Context = 1
		}
	}
	_, err := New(s)
	return err
}
