package chat

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/jinja"
)

// ErrTemplate is returned when a template cannot be read, or does not render a
// conversation: it refuses it, asks for what is not supported, or exceeds its limits.
var ErrTemplate = errors.New("chat: template")

// Tokens are the texts of the tokens that a template may name.
type Tokens struct{ BOS, EOS, PAD, UNK string }

// Template is a chat template. It is safe for concurrent use.
type Template struct {
	source string
	tokens Tokens
	jinja  *jinja.Template
	// Now is the date that templates print; nil is time.Now. Variables are further
	// values for the template, by name: bools, strings (enable_thinking: false).
	Now       func() time.Time
	Variables map[string]any
}

// named are templates for models that come without one.
var named = map[string]string{
	"chatml": `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	"zephyr": `{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}`,
	"alpaca": `{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}{% else %}{{ '### Response:\n' + message['content'] + eos_token + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}`,
	"plain":  `{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}`,
}

// Named is the source of a template by name.
func Named(name string) (source string, err error) {
	source, ok := named[name]
	if !ok {
		names := make([]string, 0, len(named))
		for n := range named {
			names = append(names, n)
		}
		sort.Strings(names)
		return "", fmt.Errorf("%w %q, expected one of %s", ErrTemplate, name, strings.Join(names, ", "))
	}
	return source, nil
}

// Compile reads a template.
func Compile(source string, tokens Tokens) (*Template, error) {
	t, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return &Template{source: source, tokens: tokens, jinja: t}, nil
}

// Source is the template as it was read.
func (t *Template) Source() string { return t.source }

// Tokens are the texts of the tokens that the template may name.
func (t *Template) Tokens() Tokens { return t.tokens }

// Render writes a conversation; with addGenerationPrompt the text ends where the
// assistant's answer begins.
func (t *Template) Render(c Conversation, addGenerationPrompt bool) (string, error) {
	r, err := t.render(c, addGenerationPrompt)
	return r.Text, err
}

func (t *Template) render(c Conversation, prompt bool) (jinja.Result, error) {
	values := map[string]any{"add_generation_prompt": prompt}
	for name, token := range map[string]string{"bos_token": t.tokens.BOS, "eos_token": t.tokens.EOS, "pad_token": t.tokens.PAD, "unk_token": t.tokens.UNK} {
		values[name] = token
	}
	for name, v := range t.Variables {
		values[name] = v
	}
	messages := &jinja.List{}
	for i, m := range c.Messages {
		v, err := m.value()
		if err != nil {
			return jinja.Result{}, fmt.Errorf("%w: message %d: %w", ErrTemplate, i, err)
		}
		messages.Items = append(messages.Items, v)
	}
	values["messages"] = messages
	if c.Tools != nil {
		v, err := jinja.FromJSON(c.Tools)
		if err != nil {
			return jinja.Result{}, fmt.Errorf("%w: tools: %w", ErrTemplate, err)
		}
		values["tools"] = v
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	r, err := t.jinja.Render(values, now(), jinja.Limits{})
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return r, nil
}
