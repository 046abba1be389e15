package data

import (
	"fmt"
	"strconv"
	"strings"
)

// Config is the data section of a run file.
type Config struct {
	Path           string  `yaml:"path"`            // a .txt or .jsonl file, a folder of such, or a glob
	ValidationPath string  `yaml:"validation_path"` // a separate corpus to validate on, instead of validation
	Validation     float64 `yaml:"validation"`      // share of the corpus, at its end, that is held out, 0 to 0.9; default 0.1
	Field          string  `yaml:"field"`           // of a .jsonl line, that holds the text; default text
	Prompt         string  `yaml:"prompt"`          // of a .jsonl line, that holds what stands before field and is not learned; default none
	Synthetic      string  `yaml:"synthetic"`       // stories: a generated corpus instead of path
	Bytes          string  `yaml:"bytes"`           // size of a synthetic corpus: 300KB, 4MB; default 4MB
	Seed           uint64  `yaml:"seed"`            // of a synthetic corpus; default 1
	Cache          string  `yaml:"cache"`           // folder for encoded corpora; default a folder named cache beside the run directory
}

// DefaultConfig is the configuration of a run file without a data section.
func DefaultConfig() Config {
	return Config{Validation: 0.1, Field: "text", Bytes: "4MB", Seed: 1}
}

// Validate reports the first value that makes no sense, by key.
func (c Config) Validate() error {
	switch {
	case c.Path == "" && c.Synthetic == "":
		return fmt.Errorf("data.path is empty, expected a text file, folder or glob (or give --data)")
	case c.Path != "" && c.Synthetic != "":
		return fmt.Errorf("data.path is %q and data.synthetic %q: give one of them", c.Path, c.Synthetic)
	case c.Synthetic != "" && c.Synthetic != "stories":
		return fmt.Errorf("data.synthetic is %q, expected stories", c.Synthetic)
	case !(c.Validation >= 0 && c.Validation <= 0.9):
		return fmt.Errorf("data.validation is %g, expected a share, 0 to 0.9", c.Validation)
	case c.Field == "":
		return fmt.Errorf("data.field is empty, expected the name of the text in a .jsonl line")
	}
	_, err := c.bytes()
	return err
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
