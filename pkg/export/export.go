package export

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// ErrShape is returned when a format cannot hold the model's shapes; the message
// says which constraint failed and which flag meets it.
var ErrShape = errors.New("export: the format cannot hold the model")

// Options say what is written.
type Options struct {
	Format string // gguf, hf or onnx
	DType  string // F32, F16, BF16 or, in GGUF files, Q8_0
	Pad    bool   // zeros may fill what the format's shapes have more
	// Tokenizer is the model's tokenizer.json, nil for none. GGUF files need it.
	Tokenizer []byte
	EOS       int // the id that ends a text; -1 for none
	// Front and Back are the ids that the tokenizer puts in front of every text and
	// behind it, as its post_processor says.
	Front, Back []int32
	// Turn is the id that ends a turn of a chat where that is another than EOS, 0 for
	// none; ChatTemplate is written into a GGUF file.
	Turn         int
	ChatTemplate string
	// Carried are files that came with the model; a directory keeps them as they are.
	Carried []checkpoint.File
	// Embed is the bytes of weights up to which an ONNX file holds them itself;
	// default (0) onnx.MaxEmbedded.
	Embed int64
}

// Formats lists the formats.
func Formats() []string { return []string{"hf", "gguf", "onnx"} }

// DTypes lists the types of weights of a format.
func DTypes(format string) []string {
	switch format {
	case "gguf":
		return []string{"F32", "F16", "BF16", "Q8_0"}
	case "onnx":
		return []string{"F32", "F16"}
	}
	return []string{"F32", "F16", "BF16"}
}

// Plan is what will be written; making it reads no weights.
type Plan struct {
	Format       string
	Architecture string // the format's name of what the model is
	DType        string
	Gaps         []Gap    // constraints that zeros meet
	Params       int      // of the model
	Stored       int64    // elements of the file's tensors
	Other        []string // tensors of at least two dimensions in another type than DType
	Loaders      []string // programs that read the file
	Bytes        int64    // of what Write has written

	// What is written: a file, beside it perhaps its weights, or a directory.
	write func(w io.Writer, data string) error // data names the file of the weights
	data  func(w io.Writer) error              // nil when the file holds them itself
	files []checkpoint.File
}

// New decides how a model is written. A shape that the format does not have is an
// ErrShape, a tokenizer that it cannot say an ErrTokenizer.
func New(m model.Model, set *param.Set, o Options) (*Plan, error) {
	if !slices.Contains(Formats(), o.Format) {
		return nil, fmt.Errorf("export: format %q is unknown, expected one of %s", o.Format, strings.Join(Formats(), ", "))
	}
	if !slices.Contains(DTypes(o.Format), o.DType) {
		return nil, fmt.Errorf("export: type %q does not exist in format %s, expected one of %s", o.DType, o.Format, strings.Join(DTypes(o.Format), ", "))
	}
	s := newSource(m, set)
	var err error
	p := &Plan{Format: o.Format, DType: o.DType, Params: set.Count()}
	switch o.Format {
	case "gguf":
		err = p.gguf(s, o)
	case "onnx":
		err = p.onnx(m, set, o)
	case "hf":
		err = p.hf(s, o)
	}
	if err != nil {
		return nil, err
	}
	if len(p.Gaps) > 0 && !o.Pad {
		more := ""
		if n := len(p.Gaps) - 1; n > 0 {
			more = fmt.Sprintf("; and %d more", n)
		}
		return nil, fmt.Errorf("%w: %s, or give --pad, or --format onnx, which has any shape%s", ErrShape, p.Gaps[0], more)
	}
	return p, nil
}

// count notes a tensor of the file.
func (p *Plan) count(s checkpoint.Stream, dtype string) {
	p.Stored += int64(s.Elements())
	if len(s.Shape) > 1 && dtype != p.DType {
		p.Other = append(p.Other, s.Name+" "+dtype)
	}
}

func (p *Plan) gguf(s *source, o Options) error {
	switch {
	case s.table.GGUF == nil:
		return fmt.Errorf("%w: llama.cpp has no architecture for family %s; --format onnx holds it", ErrShape, s.m.Family())
	case s.table.GGUF.Refuse != "":
		return fmt.Errorf("%w: llama.cpp's %s %s; --format onnx holds it", ErrShape, s.table.GGUF.Arch, s.table.GGUF.Refuse)
	case s.Windows != nil && !s.table.GGUF.Windows:
		return fmt.Errorf("%w: llama.cpp's %s has no sliding windows; --format onnx holds it", ErrShape, s.table.GGUF.Arch)
	case !s.table.GGUF.RopeFreqs && s.stretched():
		return fmt.Errorf("%w: llama.cpp's %s cannot be given frequencies, which rope scaling changes; --format onnx holds it", ErrShape, s.table.GGUF.Arch)
	case !s.table.GGUF.HeadDim && s.Heads*s.HeadDim != s.Hidden:
		return fmt.Errorf("%w: llama.cpp's %s has heads of %d, the residual width over their number, this model's are %d wide; --format onnx holds it", ErrShape, s.table.GGUF.Arch, s.Hidden/s.Heads, s.HeadDim)
	case s.table.GGUF.Act != "" && s.table.GGUF.Act != s.Act:
		return fmt.Errorf("%w: the activation is %s, llama.cpp's %s computes %s only; --format onnx holds it", ErrShape, s.Act, s.table.GGUF.Arch, s.table.GGUF.Act)
	case o.Tokenizer == nil:
		return fmt.Errorf("%w: the model has no tokenizer.json, which a GGUF file needs", ErrTokenizer)
	}
	config, err := s.m.Shaped(model.Shape{KV: s.KVHeads, HeadDim: s.HeadDim, FFN: s.FFN})
	if err != nil {
		return err
	}
	v, err := parseVocabulary(o.Tokenizer, bos(config), o.EOS, o.Front, o.Back)
	if err != nil {
		return err
	}
	if v.template = o.ChatTemplate; o.Turn > 0 && o.Turn != o.EOS {
		v.eot = o.Turn
	}
	if len(v.tokens) > s.Vocab {
		return fmt.Errorf("%w: it has %d ids, the model %d", ErrTokenizer, len(v.tokens), s.Vocab)
	}
	arch, f, kvs, tensors := s.ggufPlan(o.DType, v)
	p.Architecture, p.Gaps = arch, f.gaps
	for _, t := range tensors {
		p.count(t.Stream, t.DType)
	}
	if _, err = gguf.Size(kvs, tensors); err != nil {
		return err
	}
	p.write = func(w io.Writer, _ string) error { return gguf.Write(w, kvs, tensors) }
	p.Loaders = []string{"llama.cpp and what is built on it"}
	return nil
}
