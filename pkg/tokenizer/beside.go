package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
)

const (
	settingsName = "tokenizer_config.json"
	addedName    = "added_tokens.json"
	specialName  = "special_tokens_map.json"
)

// addBeside adds to a tokenizer that was made of a vocabulary the tokens that the files
// beside it name: those of added_tokens_decoder in tokenizer_config.json, and those of
// added_tokens.json, which are special where either file or special_tokens_map.json gives
// them a part (bos_token, additional_special_tokens).
func addBeside(dir fs.FS, f *file, vocab tokenIDs) error {
	more, err := namedBeside(dir)
	if err != nil || len(more) == 0 {
		return err
	}
	token := make(map[int32]string, len(vocab))
	for s, id := range vocab {
		token[id] = s
	}
	for _, a := range f.AddedTokens {
		token[a.ID] = a.Content
	}
	ids := make(map[string]int32, len(token))
	for id, s := range token {
		ids[s] = id
	}
	for _, a := range more {
		if has, ok := token[a.ID]; ok && has != a.Content {
			return fmt.Errorf("the added token %q has the id %d, which is %q in the vocabulary", a.Content, a.ID, has)
		}
		if id, ok := ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("the added token %q has the id %d, in the vocabulary %d", a.Content, a.ID, id)
		}
		if !slices.ContainsFunc(f.AddedTokens, func(b addedToken) bool { return b.ID == a.ID }) {
			token[a.ID], ids[a.Content] = a.Content, a.ID
			f.AddedTokens = append(f.AddedTokens, a)
		}
	}
	return nil
}

// namedBeside are the tokens that addBeside adds, by their ids.
func namedBeside(dir fs.FS) ([]addedToken, error) {
	var settings, special map[string]json.RawMessage
	var added tokenIDs
	for name, into := range map[string]any{settingsName: &settings, specialName: &special, addedName: &added} {
		if err := readJSON(dir, name, into); err != nil {
			return nil, err
		}
	}
	var byID map[string]addedToken
	if raw := settings["added_tokens_decoder"]; !isNull(raw) {
		if err := json.Unmarshal(raw, &byID); err != nil {
			return nil, fmt.Errorf("%s: added_tokens_decoder: %w", settingsName, err)
		}
	}
	var out []addedToken
	there := map[int32]bool{}
	for key, a := range byID {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return nil, fmt.Errorf("%s: added_tokens_decoder has the key %q, expected ids", settingsName, key)
		}
		a.ID, there[int32(id)] = int32(id), true
		out = append(out, a)
	}
	parts := map[string]bool{}
	playing(settings, parts)
	playing(special, parts)
	for s, id := range added {
		if !there[id] {
			out = append(out, addedToken{ID: id, Content: s, Special: parts[s], Normalized: !parts[s]})
		}
	}
	slices.SortFunc(out, func(a, b addedToken) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content)) })
	return out, nil
}

// playing adds the texts of tokens to which a file of settings gives a part.
func playing(all map[string]json.RawMessage, parts map[string]bool) {
	one := func(raw json.RawMessage) {
		var text string
		var object struct{ Content string }
		if json.Unmarshal(raw, &text) == nil {
			parts[text] = true
		} else if json.Unmarshal(raw, &object) == nil {
			parts[object.Content] = true
		}
	}
	for _, key := range []string{"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"} {
		one(all[key])
	}
	var list []json.RawMessage
	if json.Unmarshal(all["additional_special_tokens"], &list) == nil {
		for _, raw := range list {
			one(raw)
		}
	}
}

// readJSON reads a file of a directory into a value; one that is not there leaves it.
func readJSON(dir fs.FS, name string, into any) error {
	b, err := readBounded(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
