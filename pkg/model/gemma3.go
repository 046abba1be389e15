package model

// gemma3 is Gemma 3's text model (https://arxiv.org/abs/2503.19786): a norm of queries and
// keys instead of soft caps, windows in five of six layers with a rotation of their own.
type gemma3 struct {
	*gemmaKeys
	LocalTheta float64    `json:"rope_local_base_freq"`
	Pattern    int        `json:"sliding_window_pattern,omitempty"` // every so many layers have no window
	RopeParams *gemmaRope `json:"rope_parameters,omitempty"`
}

// gemmaRope is transformers 5's spelling of the two rotations.
type gemmaRope struct {
	Full    *ropeScale `json:"full_attention"`
	Sliding *ropeScale `json:"sliding_attention"`
}

func init() {
	registerDecoder("gemma3_text", func() keys {
		k := &gemma3{gemmaKeys: newGemmaKeys("gemma3_text", "Gemma3ForCausalLM"), LocalTheta: 10000}
		k.Window, k.RopeTheta, k.MaxPositions = ptr(4096), 1000000, 131072
		return k
	})
	ggufs["gemma3"] = func(h Header) map[string]any { return gemmaConfig(h, "gemma3_text") }
}

func (k *gemma3) slides(layer int) bool {
	n := k.Pattern
	if n == 0 {
		n = 6
	}
	return (layer+1)%n != 0
}

func (k *gemma3) arch() (*Arch, error) {
	if p := k.RopeParams; p != nil {
		k.RopeParams = nil // written by the keys of transformers 4
		if p.Full != nil {
			k.llamaKeys.RopeParams = p.Full
		}
		if p.Sliding != nil && p.Sliding.Theta != 0 {
			k.LocalTheta = p.Sliding.Theta
		}
	}
	a, err := k.gemma(k.slides)
	if err != nil {
		return nil, err
	}
	a.QKNorm = HeadQKNorm
	local := &Rope{Theta: k.LocalTheta, Dims: a.HeadDim}
	here, err := slides(a.Layers, k.LayerTypes, k.slides)
	for i := range a.Rope {
		if err == nil && here[i] {
			a.Rope[i] = local
		}
	}
	return a, err
}

func (k *gemma3) table() *Table {
	g := k.gguf("gemma3")
	g.Theta = k.RopeTheta
	here, err := slides(k.Layers, k.LayerTypes, k.slides)
	for i := range here {
		if err == nil && here[i] != ((i+1)%6 != 0) {
			g.Refuse = "has windows in five of six layers, which is not what layer_types says"
		}
	}
	switch {
	case k.LocalTheta != 10000:
		g.Refuse = "turns by a base of 10000 in layers with windows, which is not rope_local_base_freq"
	case k.Window == nil:
		g.Refuse = "has windows"
	case k.Layers == 62:
		g.Refuse = "takes another scale of scores for 62 layers"
	}
	return &Table{Tensors: gemmaNames(qkNormNames()...), Prefix: "model.", Class: k.class, FixedScale: true, WholeHeads: true, GGUF: g}
}

func (k *gemma3) layers(from []int) {
	k.gemmaKeys.only(from, k.slides)
	k.Pattern = 0
}
