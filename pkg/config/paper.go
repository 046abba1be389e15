package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Paper is a file of experiments: rows, each of which is runs of one run file in
// several variants, or a comparison file.
type Paper struct {
	Seeds []uint64   `yaml:"seeds"` // of the runs; default [1, 2, 3]
	Rows  []PaperRow `yaml:"rows"`  // required
	Quick PaperQuick `yaml:"quick"` // what a quick look changes
	Out   string     `yaml:"out"`   // directory of the results

	dir string // of the file; the files that it names are relative to it
}

// PaperRow is one claim of the paper, or a question beside it.
type PaperRow struct {
	Name     string         `yaml:"name"`     // of its directory: small letters, digits and dashes; required
	Title    string         `yaml:"title"`    // in the results; required
	Paper    string         `yaml:"paper"`    // the paper's figure, in words; none when empty
	Config   string         `yaml:"config"`   // run file of the variants
	Set      []string       `yaml:"set"`      // overrides of the run file in all variants, key.path=value
	Variants []PaperVariant `yaml:"variants"` // the first is what others are measured against
	Compare  string         `yaml:"compare"`  // comparison file, instead of config and variants
}

// PaperVariant is a way to run a row's run file.
type PaperVariant struct {
	Name string   `yaml:"name"` // small letters, digits and dashes; required
	Set  []string `yaml:"set"`  // overrides, after those of the row
}

// PaperQuick is what a quick look changes.
type PaperQuick struct {
	Seeds   []uint64 `yaml:"seeds"`   // instead of seeds
	Set     []string `yaml:"set"`     // further overrides of every run file
	Compare []string `yaml:"compare"` // overrides of every comparison file
}

// LoadPaper reads a file of experiments strictly.
func LoadPaper(path string) (Paper, error) {
	p := Paper{Seeds: []uint64{1, 2, 3}, dir: filepath.Dir(path)}
	text, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	if err := DecodeWith(text, nil, &p); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	if err := p.validate(); err != nil {
		return p, fmt.Errorf("%s: %w: %w", path, ErrConfig, err)
	}
	return p, nil
}

// File is where a file lies that the paper names.
func (p Paper) File(name string) string { return filepath.Join(p.dir, name) }

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (p Paper) validate() error {
	if len(p.Rows) == 0 || len(p.Seeds) == 0 || len(p.Quick.Seeds) == 0 {
		return fmt.Errorf("rows, seeds and quick.seeds have %d, %d and %d entries, expected at least one of each", len(p.Rows), len(p.Seeds), len(p.Quick.Seeds))
	}
	seen := map[string]bool{}
	for i, r := range p.Rows {
		at := fmt.Sprintf("rows[%d]", i)
		switch {
		case !plainName.MatchString(r.Name) || seen[r.Name]:
			return fmt.Errorf("%s.name is %q, expected small letters, digits and dashes, not used before", at, r.Name)
		case r.Title == "":
			return fmt.Errorf("%s.title is empty, expected words", at)
		case (r.Compare == "") == (r.Config == ""):
			return fmt.Errorf("%s has config %q and compare %q, expected one of them", at, r.Config, r.Compare)
		case r.Compare != "" && len(r.Variants)+len(r.Set) > 0:
			return fmt.Errorf("%s.variants and set do not apply to a comparison", at)
		case r.Config != "" && len(r.Variants) == 0:
			return fmt.Errorf("%s.variants is empty, expected at least one", at)
		}
		seen[r.Name] = true
		of := map[string]bool{}
		for k, v := range r.Variants {
			if !plainName.MatchString(v.Name) || of[v.Name] {
				return fmt.Errorf("%s.variants[%d].name is %q, expected small letters, digits and dashes, not used before", at, k, v.Name)
			}
			of[v.Name] = true
		}
	}
	return nil
}
