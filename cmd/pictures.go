package cmd

import (
	"errors"
	"fmt"
	"iter"
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

// classifier is what the run trains when it is a model of images, of sizes that are
// those of the run but for the classes; nil for a model of text.
func (j *job) classifier() (model.Classifier, error) {
	if j.run.From != "" {
		if err := j.source(); err != nil {
			return nil, err
		}
		c, _ := j.from.m.(model.Classifier)
		return c, nil
	}
	if !j.run.Model.Images() {
		return nil, nil
	}
	s := j.run.Model
	if s.Labels == 0 {
		s.Labels = 1
	}
	m, err := model.New(s)
	if err != nil {
		return nil, fault.Usage(err)
	}
	return m.(model.Classifier), nil
}

// look reads the images of the run: for a model that is trained further in its own
// classes and normalisation.
func (j *job) look(c model.Classifier) (err error) {
	d := j.run.Data
	if err := d.CheckImages(true); err != nil {
		return fault.Usage(err)
	}
	if j.pics, err = readPictures(d, c.Image()); err != nil {
		return fault.BadInput(err)
	}
	if j.from != nil {
		if d.Mean != nil {
			return fault.Usage(fmt.Errorf("data.mean and std are for new models, %s has its own", j.run.From))
		}
		img := c.Image()
		j.pics.normalise = data.Normalise{Rescale: img.Rescale, Mean: img.Mean, Std: img.Std}
		for _, m := range []*data.Images{j.pics.train, j.pics.held} {
			if j.run.NewClassifier {
				break // the data's classes count
			}
			if err := underModel(m, c); err != nil {
				return fault.BadInput(fmt.Errorf("%s: %w; finetune --new-classifier trains a classifier for the data's classes", d.Path, err))
			}
		}
	}
	j.sum = j.pics.train.Checksum()
	j.data, err = data.NewImageBatches(j.pics.train, j.pics.normalise, data.Augment{Shift: d.Shift, Flip: d.Flip}, j.run.Train.Batch, data.Cursor{Seed: j.run.Train.Seed})
	return fault.BadInput(err)
}

// reclassify gives the model that the run begins with a new classifier, for the
// classes of the run's images; every other weight stays.
func (j *job) reclassify() error {
	was := j.from.m.Vocab()
	made, err := j.from.Reclassify(j.pics.train.Classes, j.run.Train.Seed)
	if err != nil {
		return err
	}
	j.from.m, j.from.set = j.from.Model, j.from.Set
	fmt.Fprintf(j.log, "classes   %d instead of %d; new: %s\n", j.from.m.Vocab(), was, strings.Join(made, ", "))
	return nil
}

// classes makes the model of the run file for the images that were read.
func (j *job) classes() (model.Model, error) {
	s := j.run.Model
	found := j.pics.train.Classes
	if s.Labels == 0 && s.Name == "" {
		s.Labels = len(found)
	}
	m, err := model.New(s)
	if err != nil {
		return nil, fault.Usage(err)
	}
	if m.Vocab() < len(found) {
		return nil, fault.Usage(fmt.Errorf("model.num_labels is %d, but the images have %d classes", m.Vocab(), len(found)))
	}
	img, n := m.(model.Classifier).Image(), j.pics.normalise
	img.Rescale, img.Mean, img.Std = n.Rescale, n.Mean, n.Std
	img.Classes = slices.Clone(found)
	for i := len(found); i < m.Vocab(); i++ {
		img.Classes = append(img.Classes, fmt.Sprintf("LABEL_%d", i))
	}
	return m, nil
}

// calibration is what n sequences, or images, of a pruning event's pass are.
func (j *job) calibration(n int) (prune.Sequences, error) {
	c := j.run.Train
	if j.pics != nil {
		return calibrationImages(j.pics.train, j.pics.normalise, j.m, n, c.Seed)
	}
	return sequences(j.tokens, c.Context, n, c.Seed)
}

// validation is the held-out data, batch sequences at a time; nil where there is none.
func (j *job) validation(batch int) iter.Seq2[data.Batch, error] {
	c := j.run.Train
	switch {
	case j.pics != nil && j.pics.held.Len() > 0:
		return j.pics.held.Batches(j.pics.normalise, batch, c.EvalTokens)
	case j.pics == nil && len(j.held) > 1:
		return data.Windows(j.held, batch, c.Context, c.EvalTokens)
	}
	return nil
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
