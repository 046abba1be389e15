package model

import "fmt"

// windows is the window of each layer, 0 for none: what layer_types says, or else by
// the layer's number. nil when no layer has one that is shorter than the longest text.
func windows(a *Arch, window int, types []string, has func(layer int) bool) ([]int, error) {
	layers, any := a.Layers, false
	if window < 1 {
		return nil, fmt.Errorf("sliding_window is %d, expected at least 1", window)
	}
	if types != nil && len(types) != layers {
		return nil, fmt.Errorf("layer_types has %d entries, expected %d", len(types), layers)
	}
	out := make([]int, layers)
	for i := range out {
		here := has(i)
		if types != nil {
			switch types[i] {
			case "sliding_attention":
				here = true
			case "full_attention":
				here = false
			default:
				return nil, fmt.Errorf("layer_types[%d] is %q, expected full_attention or sliding_attention", i, short(types[i]))
			}
		}
		if here && window < a.Positions {
			out[i], any = window, true
		}
	}
	if !any {
		return nil, nil
	}
	return out, nil
}
