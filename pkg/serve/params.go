package serve

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/ecospa/ecospa/pkg/infer"
)

// sampling are the fields that completions and chats have in common.
type sampling struct {
	Temperature *float64       `json:"temperature"`
	TopP        *float64       `json:"top_p"`
	TopK        *int           `json:"top_k"`
	Seed        *int64         `json:"seed"`
	Stop        oneOrMore      `json:"stop"`
	N           *int           `json:"n"`
	Stream      bool           `json:"stream"`
	Options     *streamOptions `json:"stream_options"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// maxChoices and maxStops bound what one request can ask for.
const (
	maxChoices = 128
	maxStops   = 16
)

// config is how tokens are drawn for choice i. Choices of one request have seeds
// that follow each other; without a seed every request draws its own.
func (p *sampling) config() (infer.SamplerConfig, error) {
	c := infer.SamplerConfig{Temperature: 1, TopP: 1, Seed: rand.Uint64()}
	if p.Temperature != nil {
		c.Temperature = *p.Temperature
	}
	if p.TopP != nil {
		c.TopP = *p.TopP
	}
	if p.TopK != nil {
		c.TopK = max(0, *p.TopK) // -1 is all, as elsewhere
	}
	if p.Seed != nil {
		c.Seed = uint64(*p.Seed)
	}
	switch {
	case !(c.Temperature >= 0 && c.Temperature <= 2):
		return c, bad("temperature", fmt.Sprintf("temperature is %g, expected 0 to 2", c.Temperature))
	case !(c.TopP > 0 && c.TopP <= 1):
		return c, bad("top_p", fmt.Sprintf("top_p is %g, expected above 0 and at most 1", c.TopP))
	case p.N != nil && (*p.N < 1 || *p.N > maxChoices):
		return c, bad("n", fmt.Sprintf("n is %d, expected 1 to %d", *p.N, maxChoices))
	case len(p.Stop) > maxStops:
		return c, bad("stop", fmt.Sprintf("stop has %d texts, expected at most %d", len(p.Stop), maxStops))
	case p.Options != nil && !p.Stream:
		return c, bad("stream_options", "stream_options is only allowed with stream")
	}
	for _, s := range p.Stop {
		if s == "" {
			return c, bad("stop", "stop has an empty text")
		}
	}
	return c, nil
}

func (p *sampling) choices() int {
	if p.N == nil {
		return 1
	}
	return *p.N
}

func (p *sampling) usage() bool { return p.Options != nil && p.Options.IncludeUsage }

// oneOrMore is a string or an array of strings.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(o))
	}
	if string(b) == "null" {
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return bad("stop", "stop is neither a string nor an array of strings")
	}
	*o = []string{s}
	return nil
}

// prompts are the texts of a request: strings, or ids to which nothing is added.
type prompts []prompt

type prompt struct {
	text  string
	ids   []int32
	isIDs bool
}

// maxPrompts bounds the texts of one request.
const maxPrompts = 1024

func (p *prompts) UnmarshalJSON(b []byte) error {
	wrong := bad("prompt", "prompt is neither a string, nor an array of strings, of token ids, or of arrays of token ids")
	if b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return wrong
		}
		*p = prompts{{text: s}}
		return nil
	}
	var list []json.RawMessage
	if b[0] != '[' || json.Unmarshal(b, &list) != nil || len(list) == 0 {
		return wrong
	}
	if c := list[0][0]; c != '"' && c != '[' {
		var ids []int32
		if json.Unmarshal(b, &ids) != nil {
			return wrong
		}
		*p = prompts{{ids: ids, isIDs: true}}
		return nil
	}
	if len(list) > maxPrompts {
		return bad("prompt", fmt.Sprintf("prompt has %d texts, expected at most %d", len(list), maxPrompts))
	}
	for _, item := range list {
		one := prompt{isIDs: item[0] == '['}
		var err error
		if one.isIDs {
			err = json.Unmarshal(item, &one.ids)
		} else {
			err = json.Unmarshal(item, &one.text)
		}
		if err != nil {
			return wrong
		}
		*p = append(*p, one)
	}
	return nil
}
