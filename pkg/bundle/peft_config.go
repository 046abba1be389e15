package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// maxAdapterConfig bounds an adapter_config.json.
const maxAdapterConfig = 1 << 20

// peftConfig is what PEFT's adapter_config.json says about the computation. Keys that do
// not change it (dropout, which modules were asked for: the tensors say which there are)
// are ignored.
type peftConfig struct {
	Type         string            `json:"peft_type"`
	Base         string            `json:"base_model_name_or_path"`
	Rank         int               `json:"r"`
	Alpha        *float64          `json:"lora_alpha"` // default 8
	RankPattern  patterns[int]     `json:"rank_pattern"`
	AlphaPattern patterns[float64] `json:"alpha_pattern"`
	Bias         string            `json:"bias"`
	RSLoRA       bool              `json:"use_rslora"` // scale alpha / √r instead of alpha / r
	Init         json.RawMessage   `json:"init_lora_weights"`
}

// refusedKeys change the computation in ways that are not read, unless they are null,
// false or empty.
var refusedKeys = []struct{ key, why string }{
	{"use_dora", "DoRA also scales each output, which low-rank adapters do not"},
	{"modules_to_save", "whole modules that were trained beside the adapters are not read"},
	{"trainable_token_indices", "rows of the embedding that were trained beside the adapters are not read"},
	{"target_parameters", "adapters of parameters that are no linear module are not read"},
	{"layer_replication", "layers that are used more than once are not read"},
	{"lora_bias", "adapters with a bias are not read"},
	{"use_qalora", "QALoRA averages groups of inputs, which low-rank adapters do not"},
	{"alora_invocation_tokens", "adapters that begin at a token (aLoRA) are not read"},
	{"arrow_config", "mixtures of adapters are not read"},
	{"use_bdlora", "block-diagonal adapters are not read"},
}

// ofPEFT reports whether an adapter_config.json is PEFT's.
func ofPEFT(text []byte) (bool, error) {
	var head struct {
		Type *string `json:"peft_type"`
	}
	err := json.Unmarshal(text, &head)
	return head.Type != nil, err
}

// parsePEFT reads PEFT's adapter_config.json; what is not read is an error that names it.
func parsePEFT(text []byte) (*peftConfig, error) {
	c := &peftConfig{Bias: "none", Rank: 8}
	var keys map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, c), json.Unmarshal(text, &keys)); err != nil {
		return nil, err
	}
	if c.Type != "LORA" {
		return nil, fmt.Errorf("peft_type is %q, expected LORA: other adapters of PEFT are not read; fold them into the model (merge_and_unload in PEFT)", c.Type)
	}
	for _, r := range refusedKeys {
		if v := string(keys[r.key]); v != "" && v != "null" && v != "false" && v != "[]" && v != "{}" {
			return nil, fmt.Errorf("%s is %.60s: %s; fold the adapters into the model (merge_and_unload in PEFT)", r.key, v, r.why)
		}
	}
	for _, way := range []string{"pissa", "olora", "corda", "loftq"} {
		if strings.HasPrefix(string(c.Init), `"`+way) {
			return nil, fmt.Errorf("init_lora_weights is %s: it changed the base's weights as well; save the adapters with path_initial_model_for_weight_conversion, or fold them into the model (merge_and_unload in PEFT)", c.Init)
		}
	}
	if c.Bias != "none" {
		return nil, fmt.Errorf("bias is %q, expected none: biases that were trained beside the adapters are not read; fold them into the model (merge_and_unload in PEFT)", c.Bias)
	}
	if c.Alpha == nil {
		c.Alpha = new(float64)
		*c.Alpha = 8
	}
	return c, nil
}

// of is the rank of a module's adapter and what its product is scaled by.
func (c *peftConfig) of(module string) (rank int, scale float64, err error) {
	rank, alpha := c.Rank, *c.Alpha
	if v, ok := c.RankPattern.find(module); ok {
		rank = v
	}
	if v, ok := c.AlphaPattern.find(module); ok {
		alpha = v
	}
	if rank < 1 || rank > 4096 {
		return 0, 0, fmt.Errorf("the rank of %s is %d, expected 1 to 4096", module, rank)
	}
	if !(math.Abs(alpha) <= 1e6) {
		return 0, 0, fmt.Errorf("the alpha of %s is %g, expected -1e6 to 1e6", module, alpha)
	}
	if c.RSLoRA {
		return rank, alpha / math.Sqrt(float64(rank)), nil
	}
	return rank, alpha / float64(rank), nil
}

// patterns are regular expressions for the ends of modules' names, with a value each; the
// first that fits counts, so the file's order is kept.
type patterns[V any] []pattern[V]

type pattern[V any] struct {
	of    *regexp.Regexp
	value V
}

// UnmarshalJSON reads an object, in its order.
func (p *patterns[V]) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t == nil {
		return err
	} else if t != json.Delim('{') {
		return fmt.Errorf("%.40s: expected an object of patterns", text)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var one pattern[V]
		name, _ := key.(string)
		if one.of, err = regexp.Compile(`^(?:.*\.)?(?:` + name + `)$`); err != nil {
			return fmt.Errorf("pattern %.60q: %w", name, err)
		}
		if err := dec.Decode(&one.value); err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

func (p patterns[V]) find(module string) (v V, ok bool) {
	for _, one := range p {
		if one.of.MatchString(module) {
			return one.value, true
		}
	}
	return v, false
}
