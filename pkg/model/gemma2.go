package model

// gemma2 is Gemma 2 (https://arxiv.org/abs/2408.00118): soft caps on scores and logits, a
// window in every other layer.
type gemma2 struct{ *gemmaKeys }

func init() {
	registerDecoder("gemma2", func() keys {
		k := &gemma2{newGemmaKeys("gemma2", "Gemma2ForCausalLM")}
		k.Cap, k.FinalCap, k.Window = ptr(50.0), ptr(30.0), ptr(4096)
		return k
	})
	ggufs["gemma2"] = func(h Header) map[string]any { return gemmaConfig(h, "gemma2") }
}

func ptr[T any](x T) *T { return &x }

func everyOther(layer int) bool { return layer%2 == 0 }

func (k *gemma2) arch() (*Arch, error) { return k.gemma(everyOther) }

func (k *gemma2) table() *Table {
	g := k.gguf("gemma2")
	if here, err := slides(k.Layers, k.LayerTypes, everyOther); err == nil {
		for i, slid := range here {
			if slid != everyOther(i) {
				g.Refuse = "has windows in every other layer, which is not what layer_types says"
			}
		}
	}
	if k.Layers == 46 {
		g.Refuse = "takes another scale of scores for 46 layers"
	}
	return &Table{Tensors: gemmaNames(), Prefix: "model.", Class: k.class, FixedScale: true, GGUF: g}
}

func (k *gemma2) layers(from []int) { k.gemmaKeys.only(from, everyOther) }
