package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// Targets lists what models are pruned for.
func Targets() []string { return []string{"hf", "gguf-llama", "gguf-deci", "gguf-gpt2", "onnx"} }

// Constrain holds a pruning configuration to the shapes that a target has, so that
// a model of the family that was not pruned before fits without padding. What
// contradicts it is an error.
func Constrain(target, family string, c *coupled.Config) error {
	if !slices.Contains(Targets(), target) {
		return fmt.Errorf("--for is %q, expected one of %s", target, strings.Join(Targets(), ", "))
	}
	if of, ok := map[string]string{"gguf-llama": "llama", "gguf-deci": "llama", "gguf-gpt2": "gpt2"}[target]; ok && of != family {
		return fmt.Errorf("--for %s is for models of family %s, this one is a %s", target, of, family)
	}
	chosen := c.Kinds
	for k := range c.Ratio {
		chosen = append(chosen, k)
	}
	has := func(k coupled.Kind) bool { return slices.Contains(chosen, k) }
	switch {
	case target == "onnx":
		return nil // any shape
	case target == "gguf-deci":
		c.Layout = coupled.LayoutHeads
	default:
		c.Layout = coupled.LayoutUniform
	}
	if family != "llama" {
		// Their head width is the residual width over the heads.
		for _, k := range chosen {
			if k != coupled.FFN {
				return fmt.Errorf("--for %s leaves the attention of a %s whole, but kind %s is to go", target, family, k)
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
		return fmt.Errorf("--for hf does not take kind head: transformers wants heads that divide hidden_size, which no budget asks for")
	}
	return nil
}
