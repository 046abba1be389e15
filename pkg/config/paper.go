package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Paper is a file of experiments, row by row.
type Paper struct {
	Seeds []uint64   `yaml:"seeds"` // of the runs; default [1, 2, 3]
	Rows  []PaperRow `yaml:"rows"`  // required
	Quick PaperQuick `yaml:"quick"` // what a quick look changes
	Out   string     `yaml:"out"`   // directory of the results

	dir string // of the file; the files that it names are relative to it
}

// PaperRow is one claim of the paper, or a question beside it. It has one of config
// (runs of run files in several variants), compare (a comparison) and bench (timings).
type PaperRow struct {
	Name   string       `yaml:"name"`   // of its directory: small letters, digits and dashes; required
	Title  string       `yaml:"title"`  // in the results; required
	Paper  string       `yaml:"paper"`  // what the paper says, in words; none when empty
	Data   string       `yaml:"data"`   // what is learned: text (default), other (another text) or images
	Claims []PaperClaim `yaml:"claims"` // figures of the paper, each with what stands beside it here

	Config    string         `yaml:"config"`    // run file of the variants
	Set       []string       `yaml:"set"`       // overrides in all variants, or of the comparison, key.path=value; those of model and tokenizer in new models alone
	Variants  []PaperVariant `yaml:"variants"`  // the first is what others are measured against
	From      string         `yaml:"from"`      // ROW/VARIANT whose model of the same seed the methods prune
	Methods   []Method       `yaml:"methods"`   // further variants: each method at each budget prunes from, and the run file trains what is left
	Budgets   []string       `yaml:"budgets"`   // of the prunable parameters, what stays: 0.5x
	Sequences int            `yaml:"sequences"` // calibration sequences of the methods; default 256

	Compare string   `yaml:"compare"` // comparison file
	Folder  string   `yaml:"folder"`  // of the comparison's models and cells, which rows may share; default name
	Show    []string `yaml:"show"`    // names of the methods; default all

	Bench PaperBench `yaml:"bench"` // timings of a model by name

	Quick []string `yaml:"quick"` // further overrides of a quick look
}

// PaperVariant is a way to run a row's run file.
type PaperVariant struct {
	Name   string   `yaml:"name"`   // small letters, digits and dashes; required
	Config string   `yaml:"config"` // run file; default the row's
	From   string   `yaml:"from"`   // ROW/VARIANT whose model of the same seed it trains further; a new model when empty
	Set    []string `yaml:"set"`    // overrides, after those of the row

	Method Method `yaml:"-"` // with Budget: cuts the model of From first
	Budget string `yaml:"-"`
}

// PaperBench is timings of a model by name, whole and pruned, with random weights.
type PaperBench struct {
	Mode       string  `yaml:"mode"`        // step (optimizer steps) or infer (prefill and decoding)
	Model      string  `yaml:"model"`       // llama-1b, ...; required
	QuickModel string  `yaml:"quick_model"` // of a quick look, of whose prunable parameters prune is a share then; default model
	DType      string  `yaml:"dtype"`       // f32 (default) or bf16
	Batch      int     `yaml:"batch"`       // sequences of a step; default 1
	Seq        int     `yaml:"seq"`         // tokens of each; default 256
	Prune      float64 `yaml:"prune"`       // share that stays, by uniform widths; required
	Of         string  `yaml:"of"`          // what prune counts: all (default) or prunable parameters
	Steps      int     `yaml:"steps"`       // of which the median counts, after one to warm up; default 3
	Repeat     int     `yaml:"repeat"`      // times that whole and pruned are timed in turn; default 3
}

// PaperClaim is a figure of the paper and the figure here that stands beside it: of
// one variant alone, over another's (a ratio) or minus another's (a difference), seed by seed.
type PaperClaim struct {
	Paper   string   `yaml:"paper"`    // the paper's figure, in words; required
	Figure  string   `yaml:"figure"`   // perplexity, rss, ...: a figure of the row's table; required
	Of      string   `yaml:"of"`       // variant; required
	Over    string   `yaml:"over"`     // variant that it is divided by
	Minus   string   `yaml:"minus"`    // variant that is taken from it
	AtMost  *float64 `yaml:"at_most"`  // reached when not above this
	AtLeast *float64 `yaml:"at_least"` // or not below this; one of the two is required
	Why     string   `yaml:"why"`      // printed when the paper's figure is not reached
}

// PaperQuick is what a quick look changes.
type PaperQuick struct {
	Seeds []uint64 `yaml:"seeds"` // instead of seeds
}

// LoadPaper reads a file of experiments strictly.
func LoadPaper(path string) (Paper, error) {
	p := Paper{Seeds: []uint64{1, 2, 3}, dir: filepath.Dir(path)}
	text, err := readFile(path)
	if err != nil {
		return p, err
	}
	if err := DecodeWith(text, nil, &p); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	for i := range p.Rows {
		p.Rows[i].resolve()
	}
	if err := p.validate(); err != nil {
		return p, fmt.Errorf("%s: %w: %w", path, ErrConfig, err)
	}
	return p, nil
}

// File is where a file lies that the paper names.
func (p Paper) File(name string) string { return filepath.Join(p.dir, name) }

// Row is a row by name, nil when there is none.
func (p Paper) Row(name string) *PaperRow {
	for i := range p.Rows {
		if p.Rows[i].Name == name {
			return &p.Rows[i]
		}
	}
	return nil
}

// Variant is ROW/VARIANT, nil when there is none.
func (p Paper) Variant(path string) (*PaperRow, *PaperVariant) {
	row, name, _ := strings.Cut(path, "/")
	r := p.Row(row)
	if r == nil {
		return nil, nil
	}
	for i := range r.Variants {
		if r.Variants[i].Name == name {
			return r, &r.Variants[i]
		}
	}
	return r, nil
}

func (r *PaperRow) resolve() {
	if r.Data == "" {
		r.Data = "text"
	}
	if r.Folder == "" {
		r.Folder = r.Name
	}
	if r.Sequences == 0 {
		r.Sequences = 256
	}
	for i, m := range r.Methods {
		r.Methods[i] = m.resolve()
		for _, b := range r.Budgets {
			r.Variants = append(r.Variants, PaperVariant{Name: Slug(m.Name + " " + b), From: r.From, Method: r.Methods[i], Budget: b})
		}
	}
	for i := range r.Variants {
		if r.Variants[i].Config == "" {
			r.Variants[i].Config = r.Config
		}
	}
	if b := &r.Bench; b.Mode != "" {
		for _, d := range []struct{ to, value *string }{{&b.QuickModel, &b.Model}, {&b.DType, new("f32")}, {&b.Of, new("all")}} {
			if *d.to == "" {
				*d.to = *d.value
			}
		}
		for _, d := range []struct {
			to    *int
			value int
		}{{&b.Batch, 1}, {&b.Seq, 256}, {&b.Steps, 3}, {&b.Repeat, 3}} {
			if *d.to == 0 {
				*d.to = d.value
			}
		}
	}
}

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,39}$`)

func (p Paper) validate() error {
	if len(p.Rows) == 0 || len(p.Seeds) == 0 || len(p.Quick.Seeds) == 0 {
		return fmt.Errorf("rows, seeds and quick.seeds have %d, %d and %d entries, expected at least one of each", len(p.Rows), len(p.Seeds), len(p.Quick.Seeds))
	}
	var names []string
	for i, r := range p.Rows {
		at := fmt.Sprintf("rows[%d]", i)
		if !plainName.MatchString(r.Name) || slices.Contains(names, r.Name) {
			return fmt.Errorf("%s.name is %q, expected small letters, digits and dashes, not used before", at, r.Name)
		}
		names = append(names, r.Name)
		if err := p.row(r); err != nil {
			return fmt.Errorf("%s%w", at, err)
		}
	}
	return nil
}

// row reports what is wrong with a row; the message goes on from rows[N].
func (p Paper) row(r PaperRow) error {
	kinds := 0
	for _, has := range []bool{len(r.Variants) > 0 || r.Config != "", r.Compare != "", r.Bench.Mode != ""} {
		if has {
			kinds++
		}
	}
	switch {
	case r.Title == "":
		return fmt.Errorf(".title is empty, expected words")
	case kinds != 1:
		return fmt.Errorf(" has config %q, compare %q and bench.mode %q, expected one of them", r.Config, r.Compare, r.Bench.Mode)
	case !slices.Contains([]string{"text", "other", "images"}, r.Data):
		return fmt.Errorf(".data is %q, expected text, other or images", r.Data)
	case r.Config == "" && len(r.Methods)+len(r.Budgets) > 0 || (r.From == "") != (len(r.Methods) == 0) || (len(r.Methods) == 0) != (len(r.Budgets) == 0):
		return fmt.Errorf(".methods, budgets and from go together, with config")
	case r.Compare == "" && len(r.Show) > 0 || r.Compare == "" && r.Folder != r.Name:
		return fmt.Errorf(".show and folder apply to a comparison alone")
	case r.Bench.Mode != "" && len(r.Set)+len(r.Quick) > 0:
		return fmt.Errorf(".set and quick do not apply to bench")
	case r.Config != "" && len(r.Variants) == 0:
		return fmt.Errorf(".variants is empty, expected at least one")
	}
	if err := p.variants(r); err != nil {
		return err
	}
	if b := r.Bench; b.Mode != "" {
		switch {
		case b.Mode != "step" && b.Mode != "infer":
			return fmt.Errorf(".bench.mode is %q, expected step or infer", b.Mode)
		case b.Model == "" || b.DType != "f32" && b.DType != "bf16" || b.Of != "all" && b.Of != "prunable":
			return fmt.Errorf(".bench has model %q, dtype %q and of %q, expected a name, f32 or bf16, and all or prunable", b.Model, b.DType, b.Of)
		case !(b.Prune > 0 && b.Prune < 1) || b.Batch < 1 || b.Seq < 1 || b.Steps < 1 || b.Repeat < 1:
			return fmt.Errorf(".bench has prune %g, batch %d, seq %d, steps %d and repeat %d, expected a share between 0 and 1, and at least 1", b.Prune, b.Batch, b.Seq, b.Steps, b.Repeat)
		}
	}
	for i, c := range r.Claims {
		if c.Paper == "" || c.Figure == "" || c.Of == "" || (c.Over != "" && c.Minus != "") || (c.AtMost == nil) == (c.AtLeast == nil) {
			return fmt.Errorf(".claims[%d] is expected to have paper, figure and of, at most one of over and minus, and one of at_most and at_least", i)
		}
	}
	return nil
}

func (p Paper) variants(r PaperRow) error {
	var seen []string
	for k, v := range r.Variants {
		if !plainName.MatchString(v.Name) || slices.Contains(seen, v.Name) {
			return fmt.Errorf(".variants[%d].name is %q, expected small letters, digits and dashes, not used before", k, v.Name)
		}
		seen = append(seen, v.Name)
		if v.From == "" {
			continue
		}
		_, from := p.Variant(v.From)
		if from == nil || from.From != "" { // one step back, so that there is no circle
			return fmt.Errorf(".variants[%d].from is %q, expected ROW/VARIANT that begins with a new model", k, v.From)
		}
		if v.Budget != "" {
			if v.Method.Uncoupled {
				return fmt.Errorf(".methods: %s is uncoupled, which leaves nothing smaller to train", v.Method.Name)
			}
			c, improve := Compare{Of: "prunable"}.Pruning(v.Method, v.Budget, 1)
			err := c.Validate()
			if err == nil {
				err = improve.Validate()
			}
			if err != nil {
				return fmt.Errorf(": %s at %s: %w", v.Method.Name, v.Budget, err)
			}
		}
	}
	return nil
}
