package model

import "fmt"

// windowKeys are the keys of families whose upper layers may have sliding windows.
type windowKeys struct {
	UseWindow  bool     `json:"use_sliding_window"`
	Window     *int     `json:"sliding_window"`
	WindowFrom *int     `json:"max_window_layers,omitempty"` // the first layer with a window
	LayerTypes []string `json:"layer_types,omitempty"`
}

// set gives the architecture its windows.
func (k *windowKeys) set(a *Arch) (err error) {
	if !k.UseWindow {
		return nil
	}
	if k.Window == nil {
		return fmt.Errorf("use_sliding_window is true without a sliding_window")
	}
	a.Windows, err = windows(a, *k.Window, k.LayerTypes, func(i int) bool { return k.WindowFrom == nil || i >= *k.WindowFrom })
	return err
}

// slides reports which layers have a window: what layer_types says, or else by the
// layer's number.
func slides(layers int, types []string, has func(layer int) bool) ([]bool, error) {
	if types != nil && len(types) != layers {
		return nil, fmt.Errorf("layer_types has %d entries, expected %d", len(types), layers)
	}
	out := make([]bool, layers)
	for i := range out {
		switch {
		case types == nil:
			out[i] = has(i)
		case types[i] == "sliding_attention":
			out[i] = true
		case types[i] != "full_attention":
			return nil, fmt.Errorf("layer_types[%d] is %q, expected full_attention or sliding_attention", i, short(types[i]))
		}
	}
	return out, nil
}

// windows is the window of each layer, 0 for none; nil when no layer has one that is
// shorter than the longest text.
func windows(a *Arch, window int, types []string, has func(layer int) bool) ([]int, error) {
	if window < 1 {
		return nil, fmt.Errorf("sliding_window is %d, expected at least 1", window)
	}
	here, err := slides(a.Layers, types, has)
	if err != nil {
		return nil, err
	}
	out, any := make([]int, a.Layers), false
	for i := range out {
		if here[i] && window < a.Positions {
			out[i], any = window, true
		}
	}
	if !any {
		return nil, nil
	}
	return out, nil
}

// layers: the first layer with a window is the first one that stays.
func (k *windowKeys) layers(from []int) {
	if k.LayerTypes = pick(k.LayerTypes, from); k.WindowFrom != nil {
		n := 0
		for _, l := range from {
			if l < *k.WindowFrom {
				n++
			}
		}
		k.WindowFrom = &n
	}
}
