package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Format is a way to write models. It registers itself by its name.
type Format struct {
	Name   string
	About  string   // what is written, for help: "a file for onnxruntime"
	DTypes []string // types of weights that it has: F32 and others
	// Plan fills in how the model is written: Architecture, Gaps, Loaders and either
	// Files or File. It reads no weights. What the format cannot hold is an ErrShape or an
	// ErrTokenizer.
	Plan func(p *Plan, m model.Model, set *param.Set, o Options) error
	// Read opens what was written, with matrices kept as t where they can be, so that its
	// logits can be compared with the model's. A format without it has Check, which
	// reports what is wrong with a file's structure.
	Read  func(path string, t param.DType) (model.Model, *param.Set, error)
	Check func(path string) error
	// Targets are the names of the shapes that models can be pruned for; Demands is what
	// one of them asks of a model, or an error where it is for other models.
	Targets func() []string
	Demands func(target string, m model.Model) (Demands, error)
}

var formats = map[string]Format{}

// Register adds a format. It panics when the name is taken, and on a format that is
// neither read back nor checked.
func Register(f Format) {
	if _, ok := formats[f.Name]; ok {
		panic("export: format " + f.Name + " is registered twice")
	}
	if f.Read == nil && f.Check == nil {
		panic("export: format " + f.Name + " can neither be read nor checked")
	}
	formats[f.Name] = f
}

// Formats lists the names of the formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// ByName finds a format; the error for an unknown name lists the known ones.
func ByName(name string) (Format, error) {
	f, ok := formats[name]
	if !ok {
		return f, fmt.Errorf("export: format %q is unknown, expected one of %s", name, strings.Join(Formats(), ", "))
	}
	return f, nil
}

// About describes the formats, for help: "hf is a directory for ..., onnx is a file for ...".
func About() string {
	var out []string
	for _, name := range Formats() {
		out = append(out, name+" is "+formats[name].About)
	}
	return strings.Join(out, ",\n")
}

// DTypes lists the types of weights that some format has, in lower case.
func DTypes() []string {
	var out []string
	for _, f := range formats {
		for _, t := range f.DTypes {
			if t = strings.ToLower(t); !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	slices.Sort(out)
	return out
}

// DType is the type of the written weights: the one that was asked for, else that of the
// source, else F32 where the format does not have that.
func (f Format) DType(asked, source string) string {
	switch {
	case asked != "":
		return strings.ToUpper(asked)
	case slices.Contains(f.DTypes, source):
		return source
	}
	return "F32"
}
