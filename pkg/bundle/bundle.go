package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/folder"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// AsStored, as Options.Weights, keeps matrices in the type that the source has most of, where
// that can be done without rounding: bfloat16; others become float32, and so do those that
// adapters are folded into.
const AsStored param.DType = "source"

// Options says how much of a model Open reads. The zero value is all of it, with
// adapters folded into the weights.
type Options struct {
	// ShapesOnly reads no weights: Set has no storage, and adapters are not looked for.
	ShapesOnly bool
	// CheckHeaders, with ShapesOnly, holds the headers of the weights' files against the
	// model's shapes.
	CheckHeaders bool
	// KeepAdapters leaves adapters that stand beside a model apart from its weights, in
	// Adapters.
	KeepAdapters bool
	// Weights is the type in which matrices are kept in memory, see param.Set.Store; ""
	// is float32, without which a bundle cannot be trained. It can be saved and pruned.
	Weights param.DType
	// StrictConfig makes keys of config.json that nobody knows an error instead of a note.
	StrictConfig bool
}

// kept is the type in which matrices are kept of a source that has most weights as stored.
func (o Options) kept(stored string) param.DType {
	switch {
	case o.Weights == AsStored && stored == "BF16":
		return param.BF16
	case o.Weights == AsStored, o.Weights == "":
		return param.F32
	}
	return o.Weights
}

// Bundle is a model with what belongs to it. The caller may change Model and Set;
// Close closes the Set that is there then.
type Bundle struct {
	Path  string // as the caller named it
	Model model.Model
	Set   *param.Set
	DType string // type in which the source stores most weights: F32, F16 or BF16
	Bytes int64  // of the source's weights on disk

	Tokenizer tokenizer.Tokenizer // nil when the source has none
	// Ends are the ids that end a generated text, the first of them the usual one; none
	// when the source names none. Tokenizer.EOS is the first, or -1.
	Ends         []int32
	ChatTemplate string     // Jinja source, "" when there is none
	Generation   Generation // what generation_config.json says

	Adapters *model.Adapters // with Options.KeepAdapters; nil for none
	LoRA     model.LoRA      // what the adapters were configured as, folded in or not

	Extra []Extra  // small files that Save carries through
	Notes []string // what a user should hear about the source, a line each

	config    []byte // config.json as it was read
	tokenizer []byte // tokenizer.json as it was read; nil when another file was
	modules   []byte // modules.json of an encoder, the steps to a vector; nil for none
	pooling   []byte // the file of its pooling
}

// Open opens the model at path. Errors say whose fault they are (package fault).
func Open(path string, o Options) (*Bundle, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.BadInput(missing(path, err))
	case err == nil && !st.IsDir():
		b, err := openFile(path, o)
		return b, fault.BadInput(err)
	}
	dir, err := folder.Open(path)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	defer dir.Close()
	b, err := open(dir, o)
	if err != nil {
		return nil, fault.BadInput(err)
	}
	return b, nil
}

// CheckConfig reports keys of a model's config.json that nobody knows, and all else that
// keeps it from being opened; no weights are read.
func CheckConfig(path string) error {
	b, err := Open(path, Options{ShapesOnly: true, StrictConfig: true})
	b.Close()
	return err
}

// open reads a directory: a model, or adapters and the model that they name.
func open(dir *folder.Dir, o Options) (b *Bundle, err error) {
	peft, err := readPEFT(dir)
	if err != nil {
		return nil, err
	}
	alone, err := readAdapterFile(dir, adapterConfig)
	if err != nil {
		return nil, err
	}
	if (alone != nil || peft != nil) && !o.KeepAdapters && !o.ShapesOnly { // they are added to float32 weights
		t := o.Weights
		if o.Weights = ""; t == AsStored {
			t = ""
		}
		defer func() {
			if err == nil && t != "" {
				if err = b.Set.StoreAll(t); err != nil {
					b.Close()
				}
			}
		}()
	}
	if peft != nil {
		return openPEFT(dir, peft, o)
	}
	if alone != nil && alone.Base != "" {
		return openAdapters(dir, alone, o)
	}
	if b, err = openModel(dir, o); err != nil || o.ShapesOnly {
		return b, err
	}
	if err := b.adapt(dir, o); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// openModel reads the model of a directory, without adapters.
func openModel(dir *folder.Dir, o Options) (*Bundle, error) {
	b := &Bundle{Path: dir.Name()}
	if err := b.read(dir, o); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// read reads what is small first, so that what is wrong with it costs nothing.
func (b *Bundle) read(dir *folder.Dir, o Options) (err error) {
	if b.Model, b.Set, err = model.ReadShapes(dir); err != nil {
		return err
	}
	if keys := b.Model.UnknownKeys(); len(keys) > 0 {
		note := "config.json has keys that are not known and not used: " + strings.Join(keys, ", ")
		if o.StrictConfig {
			return fmt.Errorf("%s: %s", dir.Name(), note)
		}
		b.Notes = append(b.Notes, note)
	}
	files, err := checkpoint.ReadModel(dir)
	if err != nil {
		return err
	}
	b.config, b.tokenizer = files.Config, files.Tokenizer
	if b.Extra, err = readExtra(dir); err != nil {
		return err
	}
	if err := errors.Join(b.readModules(dir), b.readTokenizer(dir)); err != nil {
		return err
	}
	if err := b.readSettings(); err != nil {
		return fmt.Errorf("%s: %w", dir.Name(), err)
	}
	if o.ShapesOnly && !o.CheckHeaders {
		return nil
	}
	if b.DType, b.Bytes, err = checkpoint.Stored(dir); err != nil {
		return err
	}
	if o.ShapesOnly {
		return checkpoint.CheckWeights(dir, b.Set, b.Model.Tensors(b.Set), model.Ignorable)
	}
	return checkpoint.ReadWeightsAs(dir, b.Set, b.Model.Tensors(b.Set), model.Ignorable, o.kept(b.DType))
}

// Close gives the memory of weights and adapters back. A closed bundle may be closed again.
func (b *Bundle) Close() {
	if b == nil {
		return
	}
	if b.Set != nil {
		b.Set.Close()
	}
	if b.Adapters != nil {
		b.Adapters.Set.Weights.Close()
	}
}
