package bundle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// namesIDs reports whether a key of a configuration file holds ids of tokens.
func namesIDs(key string) bool {
	return strings.HasSuffix(key, "_token_id") || strings.HasSuffix(key, "_token_ids") ||
		key == "suppress_tokens" || key == "begin_suppress_tokens" || key == "bad_words_ids"
}

// eachID is an id, null, or lists of ids of any depth with other ids; those that become
// negative are left out, and so is a list with nothing left in it.
func eachID(value json.RawMessage, to func(int) int) (any, error) {
	var one *int
	if json.Unmarshal(value, &one) == nil {
		if one == nil {
			return nil, nil
		}
		if id := to(*one); id >= 0 {
			return id, nil
		}
		return nil, nil
	}
	var many []json.RawMessage
	if err := json.Unmarshal(value, &many); err != nil {
		return nil, fmt.Errorf("is %.40s, expected ids of tokens", value)
	}
	var out []any
	for _, v := range many {
		x, err := eachID(v, to)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out = append(out, x)
		}
	}
	if out == nil {
		return nil, nil
	}
	return out, nil
}

// renumber is a configuration file whose ids are renumbered; its vocab_size becomes rows.
func renumber(text []byte, renumbered []int32, rows int) ([]byte, error) {
	members, err := object(text)
	if err != nil {
		return nil, err
	}
	to := func(id int) int {
		if id < 0 || id >= len(renumbered) {
			return -1
		}
		return int(renumbered[id])
	}
	for i, m := range members {
		var value any
		switch {
		case m.name == "vocab_size":
			value = rows
		case namesIDs(m.name):
			if value, err = eachID(m.value, to); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		case m.name == "added_tokens_decoder": // of tokenizer_config.json: by the id
			if value, err = renumberKeys(m.value, to); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		default:
			continue
		}
		if members[i].value, err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return write(members)
}

// renumberKeys is an object whose keys are ids.
func renumberKeys(text json.RawMessage, to func(int) int) (json.RawMessage, error) {
	members, err := object(text)
	if err != nil {
		return nil, err
	}
	var out []member
	for _, m := range members {
		id, err := strconv.Atoi(m.name)
		if err != nil {
			return nil, fmt.Errorf("has the key %q, expected ids", m.name)
		}
		if id = to(id); id >= 0 {
			out = append(out, member{strconv.Itoa(id), m.value})
		}
	}
	return write(out)
}

// renumberExtra is the files that are carried through, by the new ids.
func (b *Bundle) renumberExtra(renumbered []int32) (out []Extra, err error) {
	for _, e := range b.Extra {
		switch {
		case slices.Contains(vocabularyFiles, e.Name), strings.HasSuffix(e.Name, ".model"), strings.HasSuffix(e.Name, ".tiktoken"):
			continue
		case e.Name == generationFile || e.Name == settingsFile:
			if e.Data, err = renumber(e.Data, renumbered, 0); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name, err)
			}
		}
		out = append(out, e)
	}
	return out, nil
}
