package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// pictures is the images of a run, with what happens to their pixels.
type pictures struct {
	train, held *data.Images // held may be empty
	normalise   data.Normalise
}

// readPictures opens the images that a run file names, for a model of its sizes.
func readPictures(c data.Config, img *model.Image) (*pictures, error) {
	all, err := data.OpenImages(c.Path, img.Channels, img.Side)
	if err != nil {
		return nil, err
	}
	p := &pictures{}
	if c.ValidationPath == "" {
		p.train, p.held = all.Split(c.Validation, c.Seed)
	} else {
		p.train = all
		if p.held, err = data.OpenImages(c.ValidationPath, img.Channels, img.Side); err != nil {
			return nil, err
		}
		if err := p.held.Under(all.Classes); err != nil {
			return nil, fmt.Errorf("%s: %w", c.ValidationPath, err)
		}
	}
	if p.train.Len() == 0 {
		return nil, fmt.Errorf("%s: no image is left to learn from", c.Path)
	}
	p.normalise = data.Normalise{Rescale: all.Rescale, Mean: c.Mean, Std: c.Std}
	if c.Mean == nil {
		p.normalise.Mean, p.normalise.Std, err = p.train.Moments()
	} else if len(c.Mean) != img.Channels {
		err = fmt.Errorf("data.mean has %d values, the images have %d channels", len(c.Mean), img.Channels)
	}
	return p, err
}

// classified opens images for a model that knows its classes and what happens to
// pixels. Classes go by their names; where the model has none, by their order.
func classified(path string, c model.Classifier) (*data.Images, data.Normalise, error) {
	img := c.Image()
	n := data.Normalise{Rescale: img.Rescale, Mean: img.Mean, Std: img.Std}
	m, err := data.OpenImages(path, img.Channels, img.Side)
	if err != nil {
		return nil, n, fault.BadInput(err)
	}
	if err := underModel(m, c); err != nil {
		return nil, n, fault.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	return m, n, nil
}

// underModel gives the classes of images the numbers that they have in a model.
func underModel(m *data.Images, c model.Classifier) error {
	names := c.Image().Classes
	if names != nil && slices.ContainsFunc(names, func(s string) bool { return !strings.HasPrefix(s, "LABEL_") }) {
		if err := m.Under(names); err != nil {
			return fmt.Errorf("%w that the model knows", err)
		}
	}
	if len(m.Classes) > c.Vocab() {
		return fmt.Errorf("%d classes, the model has %d", len(m.Classes), c.Vocab())
	}
	return nil
}

// calibrationImages are count images, each of so many tokens to the model.
func calibrationImages(m *data.Images, n data.Normalise, c model.Model, count int, seed uint64) (prune.Sequences, error) {
	b, err := m.Sample(n, count, seed)
	return prune.Sequences{Context: c.Context(), Batch: b}, err
}

// judgeImages evaluates a classifier on at most limit images (0: all), batch at a
// time; 0 is about 4096 tokens. Batches are dealt out to the ranks.
func judgeImages(g dist.Group, c model.Classifier, set *param.Set, pool *kernel.Pool, m *data.Images, n data.Normalise, batch, limit int) (train.Evaluation, error) {
	if batch == 0 {
		batch = max(1, min(4096/c.Context(), (m.Len()+g.Size()-1)/g.Size()))
	}
	e, err := train.NewEvaluator(c, set, pool, batch, c.Context(), false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	v, err := e.RunOn(g, m.Batches(n, batch, limit))
	if errors.Is(err, data.ErrImages) {
		err = fault.BadInput(err)
	}
	return v, err
}

// sequences are n windows of the tokens, spread by a seeded choice.
func sequences(tokens data.Tokens, context, n int, seed uint64) (prune.Sequences, error) {
	s := prune.Sequences{Context: context, Batch: tokens.Sample(n, context, seed)}
	if s.N < 1 {
		return s, fmt.Errorf("%d tokens do not fill one sequence of %d", len(tokens), context)
	}
	return s, nil
}

// heldLoss is the loss on the first limit (0: all) of the held-out tokens, of which
// there are at least two, in windows of at most context, dealt out to the ranks.
func heldLoss(g dist.Group, m model.Model, set *param.Set, pool *kernel.Pool, held data.Tokens, context, limit int) (train.Evaluation, error) {
	context = min(context, len(held)-1)
	batch := max(1, min(4096/context, (len(held)-1)/context/g.Size()))
	e, err := train.NewEvaluator(m, set, pool, batch, context, false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	return e.RunOn(g, data.Windows(held, batch, context, limit))
}
