package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// The files of sentence-transformers: the steps from text to vector, and how long texts are.
const (
	modulesFile  = "modules.json"
	sentenceFile = "sentence_bert_config.json"
	promptsFile  = "config_sentence_transformers.json"
	poolingFile  = "config.json" // in the folder that modules.json names
)

// Embedding is how a model's texts become vectors, as its files say.
type Embedding struct {
	Pooling   string // mean or cls; "" where no file says it
	Normalize bool   // to length 1
	MaxTokens int    // of a text, the tokenizer's template included: the rest is cut off
	LowerCase bool   // before the tokenizer
}

// Embedding reads how texts become vectors. A model that is no encoder, or a step that is
// not supported, is an error.
func (b *Bundle) Embedding() (Embedding, error) {
	e := Embedding{MaxTokens: b.Model.Context()}
	if _, ok := b.Model.(model.Encoder); !ok {
		return e, fault.Usage(fmt.Errorf("%s: the family %s is not an encoder", b.Path, b.Model.Family()))
	}
	if b.Tokenizer == nil {
		return e, fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", b.Path))
	}
	for _, err := range []error{e.sentence(b.extra(sentenceFile)), e.prompts(b.extra(promptsFile)), e.modules(b.modules, b.pooling)} {
		if err != nil {
			return e, fault.BadInput(fmt.Errorf("%s: %w", b.Path, err))
		}
	}
	return e, nil
}

// sentence reads sentence_bert_config.json.
func (e *Embedding) sentence(text []byte) error {
	if text == nil {
		return nil
	}
	var c struct {
		Max   *int `json:"max_seq_length"`
		Lower bool `json:"do_lower_case"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", sentenceFile, err)
	}
	if c.Max != nil {
		if *c.Max < 1 {
			return fmt.Errorf("%s: max_seq_length is %d, expected at least 1", sentenceFile, *c.Max)
		}
		e.MaxTokens = min(e.MaxTokens, *c.Max)
	}
	e.LowerCase = c.Lower
	return nil
}

// prompts refuses a text that stands before every other.
func (e *Embedding) prompts(text []byte) error {
	if text == nil {
		return nil
	}
	var c struct {
		Default *string `json:"default_prompt_name"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", promptsFile, err)
	}
	if c.Default != nil && *c.Default != "" {
		return fmt.Errorf("%s: default_prompt_name is %q, expected none: prompts are not supported", promptsFile, *c.Default)
	}
	return nil
}

// module is one step of modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"` // a class of sentence-transformers
}

// kind is the class's name without its package.
func (m module) kind() string { return m.Type[strings.LastIndexByte(m.Type, '.')+1:] }

// modules reads modules.json, and the pooling's own file.
func (e *Embedding) modules(text, pooling []byte) error {
	if text == nil {
		return nil
	}
	var list []module
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", modulesFile, err)
	}
	for _, m := range list {
		switch m.kind() {
		case "Transformer":
		case "Pooling":
			if err := e.pooling(path.Join(m.Path, poolingFile), pooling); err != nil {
				return err
			}
		case "Normalize":
			e.Normalize = true
		default:
			return fmt.Errorf("%s: a step is %q, expected Transformer, Pooling or Normalize", modulesFile, m.Type)
		}
	}
	return nil
}

// pooling reads 1_Pooling/config.json, which has a key for each way.
func (e *Embedding) pooling(name string, text []byte) error {
	if text == nil {
		return fmt.Errorf("%s is missing, and %s names it", name, modulesFile)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var ways []string
	for key, v := range c {
		if way, ok := strings.CutPrefix(key, "pooling_mode_"); ok && v == true {
			ways = append(ways, strings.TrimSuffix(strings.TrimSuffix(way, "_tokens"), "_token"))
		}
	}
	if len(ways) != 1 || ways[0] != "mean" && ways[0] != "cls" {
		return fmt.Errorf("%s: the pooling is %q, expected mean or cls", name, ways)
	}
	e.Pooling = ways[0]
	return nil
}

// readModules adds modules.json and the pooling's file, which lies in a folder of its own, to
// what is carried through, and tells an encoder how its texts become vectors. Steps that are
// not supported stay out of it: Embedding says so, and no file that is written names them.
func (b *Bundle) readModules(dir *folder.Dir) error {
	if _, ok := b.Model.(model.Encoder); !ok {
		return nil
	}
	read := func(name string) ([]byte, error) {
		text, err := checkpoint.ReadBytes(dir, name, 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return text, err
	}
	var err error
	if b.modules, err = read(modulesFile); err != nil || b.modules == nil {
		return err
	}
	var list []module
	if json.Unmarshal(b.modules, &list) != nil {
		return nil // Embedding says what is wrong with it
	}
	pooling := ""
	for _, m := range list {
		if m.kind() == "Pooling" {
			pooling = path.Join(m.Path, poolingFile)
			if b.pooling, err = read(pooling); err != nil {
				return err
			}
		}
	}
	var e Embedding
	if e.modules(b.modules, b.pooling) != nil {
		return nil
	}
	b.Model.Arch().Pooling = model.Pooling(e.Pooling)
	if pooling != "" && strings.Count(pooling, "/") != 1 {
		b.Notes = append(b.Notes, fmt.Sprintf("%s: %s names %s, expected a folder beside it: it is read, and not written with the model", b.Path, modulesFile, pooling))
		return nil
	}
	b.setExtra(modulesFile, b.modules)
	if pooling != "" {
		b.setExtra(pooling, b.pooling)
	}
	return nil
}

// Encode is the ids of a text within the tokenizer's template, at most MaxTokens; cut
// reports whether the text had more.
func (e Embedding) Encode(t tokenizer.Tokenizer, text []byte) (ids []int32, cut bool) {
	if e.LowerCase {
		text = bytes.ToLower(text)
	}
	front, back := t.Template()
	ids = t.Encode(append(ids, front...), text)
	if most := max(len(front), e.MaxTokens-len(back)); len(ids) > most {
		ids, cut = ids[:most], true
	}
	return append(ids, back...), cut
}
