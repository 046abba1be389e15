package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// harmless are config.json keys that say nothing about what a model computes at
// inference and in fine-tuning here: bookkeeping, generation defaults.
var harmless = map[string]bool{
	"_name_or_path": true, "transformers_version": true, "torch_dtype": true, "dtype": true, "use_cache": true,
	"pad_token_id": true, "sep_token_id": true, "decoder_start_token_id": true, "task_specific_params": true,
	"output_attentions": true, "output_hidden_states": true, "return_dict": true, "return_dict_in_generate": true,
	"_attn_implementation_autoset": true, "unk_token_id": true, "is_decoder": true, "chunk_size_feed_forward": true,
}

// strictJSON decodes a config.json over the defaults in into. A key that is
// neither a field, nor harmless, nor in ignored is refused by name unless its
// value is null, false, 0 or empty: what a model needs is never ignored.
func strictJSON(text []byte, into any, ignored []string) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	known := map[string]bool{}
	t := reflect.TypeOf(into).Elem()
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[key] = true
	}
	for _, k := range ignored {
		known[k] = true
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if known[key] || harmless[key] {
			continue
		}
		switch v := string(bytes.TrimSpace(all[key])); v {
		case "null", "false", "0", "0.0", `""`, "[]", "{}":
		default:
			return fmt.Errorf("config.json: %s is %s, which this family does not support", short(key), short(v))
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return fmt.Errorf("config.json: %s is a %s, expected %s", te.Field, te.Value, te.Type)
		}
		return fmt.Errorf("config.json: %w", err)
	}
	return nil
}

// short is text from a file for a message: printable, on one line, not endless.
func short(s string) string {
	cut := len(s) > 40
	if cut {
		s = s[:40]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if cut {
		s += "..."
	}
	return s
}

// eosIDs is eos_token_id: one id, or a list.
type eosIDs []int

func (e *eosIDs) UnmarshalJSON(text []byte) error {
	var one int
	if json.Unmarshal(text, &one) == nil {
		*e = eosIDs{one}
		return nil
	}
	return json.Unmarshal(text, (*[]int)(e))
}

func (e eosIDs) MarshalJSON() ([]byte, error) {
	if len(e) == 1 {
		return json.Marshal(e[0])
	}
	return json.Marshal([]int(e))
}
