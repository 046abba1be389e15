package bundle

import (
	"errors"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

func TestChat(t *testing.T) {
	tok, err := tokenizer.Parse([]byte(`{"added_tokens":[{"id":2,"content":"<e>","special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1}},"decoder":{"type":"Fuse"}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := &Bundle{Path: "m", Tokenizer: tok, Ends: []int32{2}}
	if c, err := b.Chat(""); c != nil || err != nil {
		t.Errorf("a model without a template has %v (%v)", c, err)
	}
	hi := chat.Conversation{Messages: []chat.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}}}
	for _, c := range []struct{ own, named, config, want string }{
		{"{{ messages|length }}{{ eos_token }}", "", "", "2<e>"},
		{"{{ bos_token }}{{ eos_token }}", "", `{"eos_token":{"content":"</s>"},"bos_token":"<s>"}`, "<s></s>"},
		{"{{ 1 }}", "plain", "", "ab<e>"},
		{"", "chatml", "", "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"},
	} {
		b.ChatTemplate, b.Extra = c.own, nil
		if c.config != "" {
			b.Extra = []Extra{{Name: "tokenizer_config.json", Data: []byte(c.config)}}
		}
		tmpl, err := b.Chat(c.named)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Render(hi, false); err != nil || got != c.want {
			t.Errorf("%q (%v), expected %q", got, err, c.want)
		}
	}
	b.ChatTemplate, b.Extra = "{% nonsense %}", nil
	if _, err := b.Chat(""); !errors.Is(err, chat.ErrTemplate) || fault.Of(err) != fault.Input {
		t.Errorf("%v, expected ErrTemplate of an input file", err)
	}
	if _, err := b.Chat("nonsense"); !errors.Is(err, chat.ErrTemplate) {
		t.Errorf("%v, expected ErrTemplate", err)
	}
}

// A template that a model is given is in what is saved, where the model has such.
func TestSetChat(t *testing.T) {
	tok, err := tokenizer.Parse([]byte(`{"added_tokens":[{"id":2,"content":"<e>","special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1}},"decoder":{"type":"Fuse"}}`))
	if err != nil {
		t.Fatal(err)
	}
	chatml, err := chat.Named("chatml")
	if err != nil {
		t.Fatal(err)
	}
	settings := Extra{settingsFile, []byte(`{"chat_template":"x","eos_token":"<e>"}`)}
	for name, c := range map[string]struct {
		own, named string
		extra      []Extra
		files      map[string]string // name: a part of it; "" for none
	}{
		"none":     {"", "", nil, map[string]string{templateFile: chatml, settingsFile: ""}},
		"its own":  {"x", "", []Extra{settings}, map[string]string{templateFile: "", settingsFile: `"chat_template":"x"`}},
		"settings": {"x", "chatml", []Extra{settings}, map[string]string{templateFile: "", settingsFile: `<|im_start|>`}},
		"both":     {"x", "chatml", []Extra{{templateFile, []byte("x")}, settings}, map[string]string{templateFile: chatml, settingsFile: `<|im_start|>`}},
	} {
		b := &Bundle{Path: "m", Tokenizer: tok, ChatTemplate: c.own, Extra: c.extra}
		tmpl, err := b.SetChat(c.named)
		if err != nil {
			t.Fatal(err)
		}
		if tmpl.Source() != b.ChatTemplate || (c.own == "" || c.named != "") != (b.ChatTemplate == chatml) {
			t.Errorf("%s: the template is %q", name, b.ChatTemplate)
		}
		for file, want := range c.files {
			got := strings.ReplaceAll(strings.ReplaceAll(string(b.extra(file)), `\u003c`, "<"), `\u003e`, ">")
			if want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q, expected %q", name, file, got, want)
			}
		}
	}
	if _, err := (&Bundle{Tokenizer: tok}).SetChat("nonsense"); !errors.Is(err, chat.ErrTemplate) {
		t.Errorf("%v, expected ErrTemplate", err)
	}
}
