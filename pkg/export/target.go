package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
)

// Targets lists what models are pruned for: "gguf-" and an architecture of llama.cpp,
// and the other formats.
func Targets() []string {
	out := []string{"hf"}
	for _, arch := range model.Architectures() {
		out = append(out, "gguf-"+arch)
	}
	return append(out, "onnx")
}

// Constrain holds a pruning configuration to the shapes that a target has, so that
// a model that was not pruned before fits without padding. What contradicts it is an
// error.
func Constrain(target string, m model.Model, c *coupled.Config) error {
	if target == "" {
		return nil
	}
	if !slices.Contains(Targets(), target) {
		return fmt.Errorf("--for is %q, expected one of %s", target, strings.Join(Targets(), ", "))
	}
	t := m.Table()
	fixed, perLayer := t.FixedHeads || t.WholeHeads, false
	if arch, ok := strings.CutPrefix(target, "gguf-"); ok {
		if t.GGUF == nil || arch != t.GGUF.Arch && arch != t.GGUF.PerLayer {
			return fmt.Errorf("--for %s is for another family than %s", target, m.Family())
		}
		fixed, perLayer = !t.GGUF.HeadDim || !t.GGUF.RopeFreqs, arch == t.GGUF.PerLayer
	}
	chosen := c.Kinds
	for k := range c.Ratio {
		chosen = append(chosen, k)
	}
	has := func(k coupled.Kind) bool { return slices.Contains(chosen, k) }
	switch {
	case target == "onnx":
		return nil // any shape
	case perLayer:
		c.Layout = coupled.LayoutHeads
	default:
		c.Layout = coupled.LayoutUniform
	}
	if fixed {
		// Their head width is the residual width over the heads, or cannot be said.
		for _, k := range chosen {
			if k != coupled.FFN {
				return fmt.Errorf("--for %s leaves the attention of a %s whole, but kind %s is to be pruned", target, m.Family(), k)
			}
		}
		if len(chosen) == 0 {
			c.Kinds = []coupled.Kind{coupled.FFN}
		}
		return nil
	}
	if len(chosen) > 0 && has(coupled.QK) != has(coupled.VO) {
		return fmt.Errorf("--for %s keeps q, k and v heads at one width: kinds qk and vo go together", target)
	}
	if has(coupled.Head) && target == "hf" {
		return fmt.Errorf("--for hf does not take kind head: transformers wants heads that divide hidden_size, which pruning cannot guarantee")
	}
	return nil
}
