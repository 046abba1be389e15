package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Continuation is a text that a model continues.
type Continuation struct {
	Model   string
	Open    bundle.Options
	Prompt  string
	Tokens  int // new tokens
	Threads int
	BF16    bool // products read a bfloat16 copy of the weights
	Sampler infer.SamplerConfig
}

// Continued is how a continuation went.
type Continued struct {
	Model        string  `json:"model"`
	Prompt       string  `json:"prompt"`
	Text         string  `json:"text"` // the continuation, without the prompt
	Tokens       int     `json:"tokens"`
	PromptTokens int     `json:"prompt_tokens"`
	Finish       string  `json:"finish"`  // "end" where the model ended the text, "length" where Tokens or the context did
	Seconds      float64 `json:"seconds"` // of the prompt and the new tokens
	TokensPerS   float64 `json:"tokens_per_second"`
}

// Write writes the prompt and its continuation to out as it comes, notes to log.
func (c Continuation) Write(ctx context.Context, out, log io.Writer) (*Continued, error) {
	if err := c.Sampler.Validate(); err != nil {
		return nil, fault.Usage(err)
	}
	b, err := bundle.Open(c.Model, c.Open)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	for _, n := range b.Notes {
		fmt.Fprintf(log, "note: %s: %s\n", c.Model, n)
	}
	prompt, err := c.encode(b, log)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	w := bufio.NewWriter(out)
	fmt.Fprint(w, c.Prompt)
	stream := tokenizer.NewStream(b.Tokenizer)
	say := func(s string) error {
		text.WriteString(s)
		_, err := fmt.Fprint(w, s)
		return errors.Join(err, w.Flush())
	}
	start, tokens := time.Now(), min(c.Tokens, b.Model.Context()-len(prompt))
	how := infer.GenerateOptions{Prompt: prompt, Tokens: tokens, Sampler: c.Sampler, Ends: b.Ends, Never: b.Unused(), BF16: c.BF16, Threads: c.Threads}
	ids, err := infer.Generate(ctx, b.Model, b.Set, how, func(id int32) error {
		text, err := stream.Next(id)
		if err != nil {
			return err
		}
		return say(text)
	})
	if rest := say(stream.Flush()); err == nil {
		err = rest
	}
	fmt.Fprintln(w)
	if err := errors.Join(err, w.Flush()); err != nil {
		return nil, err
	}
	r := &Continued{Model: c.Model, Prompt: c.Prompt, Text: text.String(), Tokens: len(ids), PromptTokens: len(prompt), Finish: "length", Seconds: time.Since(start).Seconds()}
	if r.TokensPerS = float64(r.Tokens) / r.Seconds; r.Tokens < tokens {
		r.Finish = "end"
	}
	return r, nil
}

// encode is the prompt's tokens: without a text only the beginning that the tokenizer
// adds, or else the end of a text.
func (c Continuation) encode(b *bundle.Bundle, log io.Writer) ([]int32, error) {
	if err := b.Text(); err != nil {
		return nil, err
	}
	prompt, err := b.Opening(c.Prompt)
	if err != nil {
		return nil, err
	}
	if len(prompt) == 0 {
		if len(b.Ends) == 0 {
			return nil, fault.Usage(errors.New("the prompt is empty; give --prompt TEXT"))
		}
		prompt = []int32{b.Ends[0]}
	}
	context := b.Model.Context()
	switch room := context - len(prompt); {
	case room < 1:
		return nil, fault.Usage(fmt.Errorf("the prompt has %d tokens, the model's context is %d", len(prompt), context))
	case c.Tokens > room:
		fmt.Fprintf(log, "the model's context of %d leaves room for %d new tokens\n", context, room)
	}
	return prompt, nil
}
