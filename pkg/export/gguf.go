package export

import (
	"fmt"
	"io"
	"strings"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/internal/ggufmodel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

func init() {
	Register(Format{
		Name: "gguf", About: "a file for llama.cpp", DTypes: []string{"F32", "F16", "BF16", "Q8_0"},
		Plan:    planGGUF,
		Read:    readGGUF,
		Targets: ggufTargets,
		Demands: ggufDemands,
	})
}

func readGGUF(path string, t param.DType) (model.Model, *param.Set, error) {
	m, set, _, err := ggufmodel.Read(path, func(*gguf.File) param.DType { return t })
	return m, set, err
}

// ggufTargets are "gguf-" and an architecture of llama.cpp.
func ggufTargets() []string {
	var out []string
	for _, arch := range model.Architectures() {
		out = append(out, "gguf-"+arch)
	}
	return out
}

func ggufDemands(target string, m model.Model) (Demands, error) {
	arch, t := strings.TrimPrefix(target, "gguf-"), m.Table()
	if t.GGUF == nil || arch != t.GGUF.Arch && arch != t.GGUF.PerLayer {
		return Demands{}, fmt.Errorf("%s is for another family than %s", target, m.Family())
	}
	if err := ggufLacks(&source{Arch: m.Arch(), m: m, table: t}); err != nil {
		return Demands{}, err
	}
	all := ""
	if !alike(m.Arch()) {
		all = "llama.cpp's " + arch + " tells by a layer's number whether it turns and has a window"
	}
	return Demands{Block: 32, AllLayers: all, WholeAttention: t.FixedHeads || t.WholeHeads || !t.GGUF.HeadDim || !t.GGUF.RopeFreqs, PerLayer: arch == t.GGUF.PerLayer}, nil
}

func planGGUF(p *Plan, m model.Model, set *param.Set, o Options) error {
	s, err := newSource(m, set)
	if err != nil {
		return err
	}
	if err := ggufLacks(s); err != nil {
		return err
	}
	if o.Tokenizer == nil {
		return fmt.Errorf("%w: the model has no tokenizer.json, which a GGUF file needs", ErrTokenizer)
	}
	v, err := s.ggufVocabulary(o)
	if err != nil {
		return err
	}
	arch, f, kvs, tensors := s.ggufPlan(o.DType, v)
	p.Architecture, p.Gaps = arch, f.gaps
	for _, t := range tensors {
		p.Count(t.Stream, t.DType)
	}
	if _, err = gguf.Size(kvs, tensors); err != nil {
		return err
	}
	p.File = func(w io.Writer, _ string) error { return gguf.Write(w, kvs, tensors) }
	p.Loaders = []string{"llama.cpp and what is built on it"}
	return nil
}

// ggufLacks says what of the model llama.cpp's architecture does not have, whatever its
// widths; the source needs no set.
func ggufLacks(s *source) error {
	said := false
	if s.table.GGUF != nil {
		_, said = s.ropeKeys()
	}
	switch {
	case s.table.GGUF == nil:
		return fmt.Errorf("%w: llama.cpp has no architecture for family %s; --format onnx holds it", ErrShape, s.m.Family())
	case s.table.GGUF.Refuse != "":
		return fmt.Errorf("%w: llama.cpp's %s %s; --format onnx holds it", ErrShape, s.table.GGUF.Arch, s.table.GGUF.Refuse)
	case s.Windows != nil && !s.table.GGUF.Windows:
		return fmt.Errorf("%w: llama.cpp's %s has no sliding windows; --format onnx holds it", ErrShape, s.table.GGUF.Arch)
	case !s.factors() && s.longRope() == nil:
		return fmt.Errorf("%w: longrope with two sets of factors is not written for llama.cpp's %s; --format onnx holds it", ErrShape, s.table.GGUF.Arch)
	case !s.table.GGUF.RopeFreqs && s.stretched() && s.longRope() == nil && !said:
		return fmt.Errorf("%w: llama.cpp's %s cannot be given frequencies, which rope scaling changes; --format onnx holds it", ErrShape, s.table.GGUF.Arch)
	case !s.table.GGUF.HeadDim && s.Heads*s.HeadDim != s.Hidden:
		return fmt.Errorf("%w: llama.cpp's %s has heads of %d, the residual width over their number, this model's are %d wide; --format onnx holds it", ErrShape, s.table.GGUF.Arch, s.Hidden/s.Heads, s.HeadDim)
	case s.table.GGUF.Act != "" && s.table.GGUF.Act != s.Act:
		return fmt.Errorf("%w: the activation is %s, llama.cpp's %s computes %s only; --format onnx holds it", ErrShape, s.Act, s.table.GGUF.Arch, s.table.GGUF.Act)
	}
	return nil
}

// ggufVocabulary is the tokenizer as the file has it.
func (s *source) ggufVocabulary(o Options) (*vocabulary, error) {
	config, err := s.m.Shaped(model.Shape{KV: s.KVHeads, HeadDim: s.HeadDim, FFN: s.FFN})
	if err != nil {
		return nil, err
	}
	v, err := parseVocabulary(o.Tokenizer, bos(config), o.EOS, o.Front, o.Back)
	if err != nil {
		return nil, err
	}
	if v.template = o.ChatTemplate; o.Turn > 0 && o.Turn != o.EOS {
		v.eot = o.Turn
	}
	if err := v.limit(s.Vocab); err != nil {
		return nil, err
	}
	return v, nil
}

// alike reports whether all layers turn alike and have one window.
func alike(a *model.Arch) bool {
	for i := range a.Layers {
		if a.Rope != nil && a.Rope[i] != a.Rope[0] || a.Windows != nil && a.Windows[i] != a.Windows[0] {
			return false
		}
	}
	return true
}
