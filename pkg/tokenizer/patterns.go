package tokenizer

import (
	"encoding/json"
	"strings"
)

// The regular expressions by which families divide a text into words.
const (
	casedContraction = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	llama3Pattern    = casedContraction + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` + cl100kTail
	qwen2Pattern     = casedContraction + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` + cl100kTail
	cl100kTail       = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	gpt4oPattern     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` + casedContraction + `?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` + casedContraction +
		`?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	deepseekPattern = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)

// family is a byte-level pre-tokenizer that llama.cpp has a name for.
type family struct {
	name     string
	splits   []string // patterns, one after the other
	digits   bool     // each digit is one, before GPT-2's rule
	ignore   bool     // llama.cpp takes a word that is a token as a whole, whatever the merges
	addBOS   bool     // llama.cpp's default
	composed bool     // the family's tokenizers write a text in NFC first
	class    string   // transformers' class, by which a vocab.json is of the family; "" for none
}

// families by llama.cpp's names (llama-vocab.cpp); the first is the default.
var families = []family{
	{name: "gpt-2", splits: []string{gpt2Pattern}},
	{name: "llama-bpe", splits: []string{llama3Pattern}, ignore: true, addBOS: true},
	{name: "qwen2", splits: []string{qwen2Pattern}, composed: true, class: "Qwen2Tokenizer"},
	{name: "smollm", digits: true},
	{name: "gpt-4o", splits: []string{gpt4oPattern}},
	{name: "deepseek-v3", splits: []string{`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, deepseekPattern}},
}

// PreTokenizer is llama.cpp's name of a pre_tokenizer that ends in ByteLevel, "" where
// it has none.
func PreTokenizer(raw []byte) string {
	type step struct {
		Type           string
		AddPrefixSpace bool  `json:"add_prefix_space"`
		UseRegex       *bool `json:"use_regex"`
		Individual     bool  `json:"individual_digits"`
		Pattern        struct{ Regex string }
		Behavior       string
		Invert         bool
	}
	var p struct {
		step
		Steps []step `json:"pretokenizers"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &p) != nil {
		return ""
	}
	steps := p.Steps
	if p.Type != "Sequence" {
		steps = []step{p.step}
	}
	if len(steps) == 0 {
		return ""
	}
	last := steps[len(steps)-1]
	if last.Type != "ByteLevel" || last.AddPrefixSpace {
		return ""
	}
	var splits []string
	digits := false
	for _, s := range steps[:len(steps)-1] {
		switch {
		case s.Type == "Split" && (s.Behavior == "" || s.Behavior == "Isolated" && !s.Invert || s.Behavior == "Removed" && s.Invert):
			splits = append(splits, s.Pattern.Regex)
		case s.Type == "Digits" && s.Individual && !digits && len(splits) == 0:
			digits = true
		default:
			return ""
		}
	}
	if last.UseRegex == nil || *last.UseRegex {
		if splits = append(splits, gpt2Pattern); digits {
			splits = splits[:len(splits)-1]
		}
	}
	for _, f := range families {
		if f.digits == digits && strings.Join(f.splits, "\x00") == strings.Join(splits, "\x00") {
			return f.name
		}
	}
	return ""
}

// PreTokenizers are the names that PreTokenizer knows.
func PreTokenizers() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.name)
	}
	return names
}

// preTokenizer is a family's pre_tokenizer.
func (f family) preTokenizer() json.RawMessage {
	level := func(regex string) json.RawMessage {
		return json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":` + regex + `}`)
	}
	var steps []json.RawMessage
	switch {
	case f.digits:
		steps = []json.RawMessage{json.RawMessage(`{"type":"Digits","individual_digits":true}`), level("true")}
	case len(f.splits) == 1 && f.splits[0] == gpt2Pattern:
		return level("true")
	default:
		for _, s := range f.splits {
			steps = append(steps, json.RawMessage(`{"type":"Split","pattern":{"Regex":`+string(quote(nil, s))+`},"behavior":"Isolated","invert":false}`))
		}
		steps = append(steps, level("false"))
	}
	return json.RawMessage(`{"type":"Sequence","pretokenizers":` + string(rawJSON(steps)) + `}`)
}
