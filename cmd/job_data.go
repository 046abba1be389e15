package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// read reads the images, or reads the corpus, makes or opens the tokenizer, and encodes.
func (j *job) read() (err error) {
	c, err := j.classifier()
	if err != nil {
		return err
	}
	if c != nil {
		return j.look(c)
	}
	if j.run.NewClassifier {
		return fault.Usage(fmt.Errorf("new_classifier is for models of images, %s is of text", j.run.From))
	}
	if err := j.run.Data.CheckImages(false); err != nil {
		return fault.Usage(err)
	}
	if j.corpus, err = data.Load(j.run.Data); err != nil {
		return fault.BadInput(err)
	}
	if j.tok, err = j.tokenizer(); err != nil {
		return fault.BadInput(err)
	}
	cache := data.Cache{Dir: j.cacheDir(), Warn: func(err error) {
		fmt.Fprintf(j.log, "the cache of encoded text cannot be written (%s): it will be encoded again next time\n", oneLine(err))
	}}
	tokens, err := cache.Encode(j.tok, j.corpus.Train)
	if err == nil {
		j.tokens, j.sum = tokens, tokens.Checksum()
		j.held, err = cache.Encode(j.tok, j.corpus.Validation)
	}
	if errors.Is(err, data.ErrFormat) {
		err = fault.BadInput(err)
	}
	if err != nil {
		return err
	}
	j.data, err = data.NewBatches(tokens, j.run.Train.Batch, j.run.Train.Context, data.Cursor{Seed: j.run.Train.Seed})
	return fault.BadInput(err)
}

func (j *job) cacheDir() string {
	if j.run.Data.Cache != "" {
		return j.run.Data.Cache
	}
	return filepath.Join(filepath.Dir(filepath.Clean(j.run.Out)), "cache")
}

// tokenizer is the one of an interrupted run, or a new one.
func (j *job) tokenizer() (tokenizer.Tokenizer, error) {
	if !j.over {
		if t, err := openTokenizer(j.run.Out); !errors.Is(err, os.ErrNotExist) {
			return t, err
		}
	}
	if err := j.source(); err != nil { // a resumed run without a checkpoint needs it, too
		return nil, err
	}
	if j.from != nil {
		return j.from.tok, nil
	}
	if j.corpus.Train.IDs != nil && j.run.Tokenizer.Path == "" && j.run.Tokenizer.Train != "bytes" {
		return nil, fault.Usage(fmt.Errorf("%s holds token ids: tokenizer.path is expected, the tokenizer that they were made with", j.run.Data.Path))
	}
	t, err := j.run.Tokenizer.New(j.corpus.Train.Text())
	if err != nil {
		return nil, fault.Usage(err)
	}
	return t, nil
}

// openTokenizer opens the tokenizer of a run that has a checkpoint; fs.ErrNotExist
// without one. No link is followed out of the directory.
func openTokenizer(dir string) (tokenizer.Tokenizer, error) {
	b, err := bundle.Open(dir, bundle.Options{ShapesOnly: true})
	if err == nil && b.Tokenizer == nil {
		err = fmt.Errorf("%s: tokenizer.json: %w", dir, os.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return b.Tokenizer, nil
}

// context is the tokens of a sequence when the train section does not say.
func (j *job) context() int {
	if c, err := j.classifier(); c != nil && err == nil {
		return c.Context()
	}
	if j.from != nil {
		return min(j.from.m.Context(), 256)
	}
	if j.run.Model.Context > 0 {
		return j.run.Model.Context
	}
	return 256
}
