package bundle

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// EndTurns makes the token that ends an assistant's turn in a template one of the model's
// ends, in generation_config.json too, so that whoever generates from what is saved stops
// there. A turn that ends in no token of its own is left as it is; the note says so.
func (b *Bundle) EndTurns(t *chat.Template) (note string, err error) {
	if b.Tokenizer == nil {
		return "", nil
	}
	c := chat.Conversation{Messages: []chat.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}}
	ids, learned, err := t.Encode(b.Tokenizer, c)
	if err != nil { // a template that wants other conversations says so when it gets the data
		return "", nil
	}
	last := -1
	for i, l := range learned {
		if l {
			last = i
		}
	}
	if last < 0 || slices.Contains(b.Ends, ids[last]) {
		return "", nil
	}
	added, err := b.added()
	if err != nil {
		return "", err
	}
	if !slices.Contains(added, ids[last]) || int(ids[last]) >= b.Model.Vocab() {
		return fmt.Sprintf("the tokenizer has no token for what ends a turn in the chat template (its text ends in %q): replies end only where the model's own end comes; data.template names other templates, of which zephyr ends turns by it", b.name(ids[last])), nil
	}
	between := tokenizer.DocumentEnd(b.Tokenizer)
	b.Ends = append(slices.Clip(b.Ends), ids[last])
	b.Tokenizer = tokenizer.WithEnds(b.Tokenizer, b.Ends[0], between)
	return "", b.writeEnds()
}

// added are the ids of the tokenizer's added tokens.
func (b *Bundle) added() (ids []int32, err error) {
	text, err := b.Tokenizer.JSON()
	if err != nil {
		return nil, err
	}
	var file struct {
		Added []struct {
			ID int32 `json:"id"`
		} `json:"added_tokens"`
	}
	err = json.Unmarshal(text, &file)
	for _, t := range file.Added {
		ids = append(ids, t.ID)
	}
	return ids, err
}

// writeEnds says the ends in generation_config.json, which is made where there is none.
func (b *Bundle) writeEnds() error {
	var keys []member
	if text := b.small(generationFile); text != nil {
		var err error
		if keys, err = object(text); err != nil {
			return fmt.Errorf("%s: %w", generationFile, err)
		}
	}
	list, err := json.Marshal(b.Ends)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(keys, func(m member) bool { return m.name == "eos_token_id" })
	if at < 0 {
		at, keys = len(keys), append(keys, member{name: "eos_token_id"})
	}
	keys[at].value = list
	text, err := write(keys)
	if err != nil {
		return err
	}
	b.setExtra(generationFile, text)
	return nil
}
