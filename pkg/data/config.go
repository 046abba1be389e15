package data

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Config is the data section of a run file.
type Config struct {
	Path           string    `yaml:"path"`            // a .txt, .jsonl or .parquet file, a folder of such, or a glob; a .bin file of token ids (nanoGPT, llm.c); images (family vit): a folder of class folders with PNG and JPEG files, a CSV of pixels with the class last, or an IDX file of images (.gz too) beside its labels
	Mix            []MixPart `yaml:"mix"`             // several corpora instead of path, each with a path and a weight
	ValidationPath string    `yaml:"validation_path"` // a separate corpus to validate on, instead of validation
	Validation     float64   `yaml:"validation"`      // share that is held out: the end of a text, images chosen at random by seed, 0 to 0.9; default 0.1
	Field          string    `yaml:"field"`           // of a .jsonl line or column of a .parquet file, that holds the text; default text
	Prompt         string    `yaml:"prompt"`          // of a .jsonl line or column of a .parquet file, that holds the prompt, the context before field that is excluded from the loss; default none
	Separator      string    `yaml:"separator"`       // of a .txt file: the line between its documents, such as <|endoftext|>; default none
	Pack           string    `yaml:"pack"`            // how documents become sequences: documents (one that fits is never cut, attention stays within it, positions begin at 0 in each) or stream (concatenated and cut where a sequence is full); default documents for files of records and with separator, stream for .txt and .bin
	MaxLength      int       `yaml:"max_length"`      // most tokens of a document (of both documents of a pair); default (0) no limit beside train.context
	Overflow       string    `yaml:"overflow"`        // what happens to a longer document, after its prompt has lost its beginning: split (into documents of their own), truncate (its end is left out) or drop (all of it is left out); default split, for pairs of answers truncate
	Format         string    `yaml:"format"`          // of records: text (field holds it), or chats: openai (messages), sharegpt (conversations), alpaca (instruction, input, output) or prompt (prompt and response); default text if the records have field, else the chat format that their keys show
	Template       string    `yaml:"template"`        // of chats: chatml, zephyr, alpaca or plain instead of the model's own chat template; default the model's own, chatml for a model without one
	Synthetic      string    `yaml:"synthetic"`       // stories: a generated corpus instead of path
	Bytes          string    `yaml:"bytes"`           // size of a synthetic corpus: 300KB, 4MB; default 4MB
	Seed           uint64    `yaml:"seed"`            // of a synthetic corpus, and of the choice of held-out images; default 1
	Mean           []float64 `yaml:"mean"`            // images: subtracted from pixels (scaled to 0 to 1), per channel; default that of the training images
	Std            []float64 `yaml:"std"`             // images: pixels are then divided by it, per channel; with mean
	Shift          int       `yaml:"shift"`           // images: largest random shift of training images in each direction, in pixels; default 0
	Flip           bool      `yaml:"flip"`            // images: flip training images horizontally at random

	Cache string `yaml:"cache"` // folder for encoded corpora; default ecospa/tokens in the user's cache directory

	Pairs bool `yaml:"-"` // records are pairs of answers, as the section preference has it
}

// DefaultConfig is the configuration of a run file without a data section.
func DefaultConfig() Config {
	return Config{Validation: 0.1, Field: "text", Bytes: "4MB", Seed: 1}
}

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	switch {
	case len(c.Mix) > 0:
		if err := c.checkMix(); err != nil {
			return err
		}
	case c.Path == "" && c.Synthetic == "":
		return fmt.Errorf("data.path is empty, expected a text file, folder or glob (or give --data)")
	case c.Path != "" && c.Synthetic != "":
		return fmt.Errorf("data.path is %q and data.synthetic %q: give one of them", c.Path, c.Synthetic)
	case c.Synthetic != "" && c.Synthetic != "stories":
		return fmt.Errorf("data.synthetic is %q, expected stories", c.Synthetic)
	}
	switch {
	case !(c.Validation >= 0 && c.Validation <= 0.9):
		return fmt.Errorf("data.validation is %g, expected a share, 0 to 0.9", c.Validation)
	case c.Pack != "" && c.Pack != PackDocuments && c.Pack != PackStream:
		return fmt.Errorf("data.pack is %q, expected documents or stream", c.Pack)
	case c.MaxLength < 0 || c.MaxLength > 1<<24 || c.MaxLength == 1:
		return fmt.Errorf("data.max_length is %d, expected 2 to %d tokens, or 0", c.MaxLength, 1<<24)
	case c.Overflow != "" && c.Overflow != Split && c.Overflow != Truncate && c.Overflow != Drop:
		return fmt.Errorf("data.overflow is %q, expected split, truncate or drop", c.Overflow)
	case c.Overflow != "" && c.MaxLength == 0:
		return fmt.Errorf("data.overflow is %q without data.max_length, the tokens that a document may have", c.Overflow)
	case c.MaxLength > 0 && c.Pack == PackStream:
		return fmt.Errorf("data.max_length is %d with data.pack stream, which has no documents", c.MaxLength)
	case strings.ContainsAny(c.Separator, "\r\n"):
		return fmt.Errorf("data.separator is %q, expected a line without its end", c.Separator)
	case c.Field == "":
		return fmt.Errorf("data.field is empty, expected the name of the text in a .jsonl line or of a .parquet column")
	}
	if err := c.options().Check("data."); err != nil {
		return err
	}
	if c.Synthetic != "" && (c.Format != "" || c.Template != "") {
		return fmt.Errorf("data.format and data.template are for the records of data.path, and data.synthetic is %s", c.Synthetic)
	}
	_, err := c.bytes()
	return err
}

// checkMix reports what a mixture lacks, or what does not go with one.
func (c Config) checkMix() error {
	if c.Path != "" || c.Synthetic != "" || c.ValidationPath != "" {
		return fmt.Errorf("data.mix replaces data.path, synthetic and validation_path: each of its parts has a path, of which data.validation is held out")
	}
	for i, p := range c.Mix {
		if p.Path == "" || !(p.Weight > 0) || math.IsInf(p.Weight, 0) {
			return fmt.Errorf("data.mix: part %d has the path %q and the weight %g, expected a path and a weight above 0", i+1, p.Path, p.Weight)
		}
	}
	return nil
}

// CheckImages reports, by key, what does not apply to images, or applies to them
// alone.
func (c Config) CheckImages(images bool) error {
	if !images {
		if c.Mean != nil || c.Std != nil || c.Shift != 0 || c.Flip {
			return fmt.Errorf("data.mean, std, shift and flip apply only to images, to a model of the family vit")
		}
		return nil
	}
	d := DefaultConfig()
	switch {
	case c.Mix != nil || c.Synthetic != "" || c.Field != d.Field || c.Prompt != "" || c.Separator != "" || c.Pack != "" || c.MaxLength != 0 || c.Format != "" || c.Template != "" || c.Bytes != d.Bytes || c.Cache != "":
		return fmt.Errorf("data.mix, synthetic, field, prompt, separator, pack, max_length, format, template, bytes and cache apply only to text, the model reads images")
	case len(c.Mean) != len(c.Std):
		return fmt.Errorf("data.mean has %d values and data.std %d, expected one each for a channel", len(c.Mean), len(c.Std))
	case c.Shift < 0 || c.Shift > 64:
		return fmt.Errorf("data.shift is %d, expected 0 to 64 pixels", c.Shift)
	}
	for i := range c.Std {
		if !(c.Std[i] > 0) || math.IsInf(c.Std[i], 0) || math.IsNaN(c.Mean[i]) || math.IsInf(c.Mean[i], 0) {
			return fmt.Errorf("data.mean is %g and data.std %g, expected finite numbers, std above 0", c.Mean[i], c.Std[i])
		}
	}
	return nil
}

// options says how the configuration's files become documents.
func (c Config) options() Options {
	return Options{Field: c.Field, Prompt: c.Prompt, Separator: c.Separator, Pack: c.Pack, Pairs: c.Pairs, Format: c.Format, Template: c.Template}
}

// bytes is the size of a synthetic corpus.
func (c Config) bytes() (int, error) {
	s, unit := c.Bytes, 1
	for _, u := range []struct {
		suffix string
		size   int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(n*float64(unit) >= 1000 && n*float64(unit) <= 4e9) {
		return 0, fmt.Errorf("data.bytes is %q, expected a size from 1KB to 4GB", c.Bytes)
	}
	return int(n * float64(unit)), nil
}
