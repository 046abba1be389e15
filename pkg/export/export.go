package export

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// ErrShape is returned when a format cannot hold the model's shapes; the message
// says which constraint failed and which flag meets it.
var ErrShape = errors.New("export: the format cannot hold the model")

// Options say what is written.
type Options struct {
	Format string // one of Formats
	DType  string // one of the format's DTypes
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

	// Progress is told of the phases of Make: of what is written in bytes done and in all, of
	// others with 0 and 0; may be nil.
	Progress func(phase string, done, of int64)

	// What is written: the files of a directory, or one file and perhaps another one
	// beside it for the weights.
	Files []checkpoint.File
	File  func(w io.Writer, data string) error // data names the file of the weights
	Data  func(w io.Writer) error              // nil when the file holds them itself
}

// New decides how a model is written. A shape that the format does not have is an
// ErrShape, a tokenizer that it cannot say an ErrTokenizer.
func New(m model.Model, set *param.Set, o Options) (*Plan, error) {
	f, err := ByName(o.Format)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(f.DTypes, o.DType) {
		return nil, fmt.Errorf("export: type %q does not exist in format %s, expected one of %s", o.DType, f.Name, strings.Join(f.DTypes, ", "))
	}
	p := &Plan{Format: f.Name, DType: o.DType, Params: set.Count()}
	if err := f.Plan(p, m, set, o); err != nil {
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

// Count notes a tensor of the file and the type that it is written in.
func (p *Plan) Count(s checkpoint.Stream, dtype string) {
	p.Stored += int64(s.Elements())
	if len(s.Shape) > 1 && dtype != p.DType {
		p.Other = append(p.Other, s.Name+" "+dtype)
	}
}
