package model

import "fmt"

// smollm3 is SmolLM3: LLaMA without rotation in every fourth layer.
type smollm3 struct {
	*llamaKeys
	Turns     []int    `json:"no_rope_layers"` // by layer: 1 turns, 0 does not
	Interval  int      `json:"no_rope_layer_interval"`
	UseWindow bool     `json:"use_sliding_window"`
	Window    *int     `json:"sliding_window"`
	Types     []string `json:"layer_types,omitempty"`
}

func init() {
	registerDecoder("smollm3", func() keys {
		k := &smollm3{llamaKeys: newLlamaKeys("smollm3", "SmolLM3ForCausalLM"), Interval: 4}
		k.Tied, k.MaxPositions, k.RopeTheta = true, 32768, 2000000
		return k
	})
	ggufs["smollm3"] = func(h Header) map[string]any { return llamaConfig(h, "smollm3") }
}

func (k *smollm3) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	if k.Turns == nil {
		if k.Interval < 1 {
			return nil, fmt.Errorf("no_rope_layer_interval is %d, expected at least 1", k.Interval)
		}
		for i := range k.Layers {
			k.Turns = append(k.Turns, min(1, (i+1)%k.Interval))
		}
	}
	if len(k.Turns) != k.Layers {
		return nil, fmt.Errorf("no_rope_layers has %d entries, expected %d", len(k.Turns), k.Layers)
	}
	for i, turns := range k.Turns {
		if turns == 0 {
			a.Rope[i] = nil
		}
	}
	if k.UseWindow && k.Window != nil {
		a.Windows, err = windows(a, *k.Window, k.Types, func(i int) bool { return k.Turns[i] != 0 })
	}
	return a, err
}

func (k *smollm3) table() *Table {
	g := &GGUF{Arch: "smollm3", HeadDim: true}
	for i, turns := range k.Turns {
		if (turns == 0) != ((i+1)%4 == 0) {
			g.Refuse = "leaves every fourth layer without rotation, which is not what no_rope_layers says"
		}
	}
	return &Table{Tensors: llamaNames(), Prefix: "model.", Class: k.class, WholeHeads: true, GGUF: g}
}

func (k *smollm3) layers(from []int) {
	k.Turns, k.Types = pick(k.Turns, from), pick(k.Types, from)
	k.llamaKeys.layers(from)
}
