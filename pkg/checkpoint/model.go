package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/ecospa/ecospa/pkg/param"
)

const (
	configFile    = "config.json"
	tokenizerFile = "tokenizer.json"
	pixelsFile    = "preprocessor_config.json"
	// maxConfig bounds config.json and tokenizer.json in bytes.
	maxConfig    = 64 << 20
	maxTokenizer = 256 << 20
)

// Model is what a model directory holds besides its weights.
type Model struct {
	Config    []byte // config.json
	Tokenizer []byte // tokenizer.json; nil when there is none
	// Preprocessor is preprocessor_config.json, what happens to pixels; nil when there is
	// none. It is not written here: package bundle carries it.
	Preprocessor []byte
}

// ReadModel reads the small files of a model directory. Nothing outside of the
// directory is read, not through symbolic links either.
func ReadModel(root Root) (Model, error) {
	var m Model
	var err error
	if m.Config, err = readSmall(root, configFile, maxConfig); err != nil {
		return m, fmt.Errorf("read model: %w", err)
	}
	m.Tokenizer, err = readSmall(root, tokenizerFile, maxTokenizer)
	if err == nil || os.IsNotExist(err) {
		m.Preprocessor, err = readSmall(root, pixelsFile, maxConfig)
	}
	if os.IsNotExist(err) {
		err = nil
	}
	for _, text := range []*[]byte{&m.Config, &m.Tokenizer, &m.Preprocessor} { // a mark that Windows programs put in front
		*text = bytes.TrimPrefix(*text, []byte("\ufeff"))
	}
	return m, err
}

// Files lists what a model directory is written from, for WriteDir: weights of
// the type F32, F16 or BF16.
func (m Model) Files(set *param.Set, tensors []Tensor, dtype string) []File {
	fs := []File{
		BytesFile(configFile, m.Config),
		{Name: weightsFile, Write: func(w io.Writer) error { return WriteWeights(w, set, tensors, dtype) }},
	}
	// A layout that does not fit is reported when it is written.
	fs[1].Size, _ = WeightsSize(set, tensors, dtype)
	if m.Tokenizer != nil {
		fs = append(fs, BytesFile(tokenizerFile, m.Tokenizer))
	}
	for i := range fs {
		fs[i].Model = true
	}
	return fs
}
