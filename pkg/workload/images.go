package workload

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// Images is labelled images, with what happens to their pixels.
type Images struct {
	training, validation *data.Images // validation may be empty
	normalise            data.Normalise
	augment              data.Augment
	tokens               int // of an image, to the model
}

// ReadImages reads the images that a run file names, for a model of the classifier's
// sizes. Without data.mean the pixels are normalised by those of the training part.
func ReadImages(d data.Config, c model.Classifier) (*Images, error) {
	if err := d.CheckImages(true); err != nil {
		return nil, fault.Usage(err)
	}
	p, err := readImages(d, c.Image())
	if err != nil {
		return nil, fault.BadInput(err)
	}
	p.tokens = c.Context()
	return p, nil
}

func readImages(c data.Config, img *model.Image) (*Images, error) {
	all, err := open(c.Path, img)
	if err != nil {
		return nil, err
	}
	p := &Images{augment: data.Augment{Shift: c.Shift, Flip: c.Flip}}
	if c.ValidationPath == "" {
		p.training, p.validation = all.Split(c.Validation, c.Seed)
	} else {
		p.training = all
		if p.validation, err = open(c.ValidationPath, img); err != nil {
			return nil, err
		}
		if err := p.validation.Under(all.Classes); err != nil {
			return nil, fmt.Errorf("%s: %w", c.ValidationPath, err)
		}
	}
	if p.training.Len() == 0 {
		return nil, fmt.Errorf("%s: no training image is left", c.Path)
	}
	p.normalise = data.Normalise{Rescale: all.Rescale, Mean: c.Mean, Std: c.Std}
	if c.Mean == nil {
		p.normalise.Mean, p.normalise.Std, err = p.training.Moments()
	} else if len(c.Mean) != img.Channels {
		err = fmt.Errorf("data.mean has %d values, the images have %d channels", len(c.Mean), img.Channels)
	}
	return p, err
}

// As treats pixels as the model that is there does, and gives the classes the numbers
// that they have in it; with newClasses the data's own classes stay.
func (p *Images) As(c model.Classifier, newClasses bool) error {
	p.normalise = normalisation(c.Image())
	if newClasses {
		return nil
	}
	for _, m := range []*data.Images{p.training, p.validation} {
		if err := under(m, c); err != nil {
			return err
		}
	}
	return nil
}

// Classes are the names of the classes.
func (p *Images) Classes() []string { return p.training.Classes }

// Classifier makes the model of sizes for these images: with as many classes as they
// have, unless the sizes say, their names, and what happens to pixels.
func (p *Images) Classifier(s model.Sizes) (model.Model, error) {
	found := p.Classes()
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
	c, ok := m.(model.Classifier)
	if !ok {
		return nil, fault.Usage(fmt.Errorf("model.family %s is a text model, the data are images", m.Family()))
	}
	img, n := c.Image(), p.normalise
	img.Rescale, img.Mean, img.Std = n.Rescale, n.Mean, n.Std
	img.Classes = slices.Clone(found)
	for i := len(found); i < m.Vocab(); i++ {
		img.Classes = append(img.Classes, fmt.Sprintf("LABEL_%d", i))
	}
	return m, nil
}

// openImages opens images for a model that knows its classes and what happens to pixels.
func openImages(c model.Classifier, s Source) (*Images, error) {
	if o := s.Options; o != (data.Options{}) && o != (data.Options{Field: "text"}) {
		return nil, fault.Usage(errors.New("--field and its kin apply to text, the model classifies images"))
	}
	img := c.Image()
	all, err := open(s.Path, img)
	if err == nil {
		if err = under(all, c); err != nil {
			err = fmt.Errorf("%s: %w", s.Path, err)
		}
	}
	if err != nil {
		return nil, fault.BadInput(err)
	}
	p := &Images{training: all, validation: all, normalise: normalisation(img), tokens: c.Context()}
	if s.Held > 0 {
		p.training, p.validation = all.Split(s.Held, s.Seed)
	}
	if p.validation.Len() == 0 {
		return nil, fault.BadInput(fmt.Errorf("%s has %d images, expected at least %d", s.Path, all.Len(), int(math.Ceil(1/s.Held))))
	}
	return p, nil
}

// open reads images as a model has them.
func open(path string, img *model.Image) (*data.Images, error) {
	return data.OpenImages(path, img.Channels, img.Side, (*data.Geometry)(img.Geometry))
}

func normalisation(img *model.Image) data.Normalise {
	return data.Normalise{Rescale: img.Rescale, Mean: img.Mean, Std: img.Std}
}

// under gives the classes of images the numbers that they have in a model: by name, or
// by their order where the model has no names.
func under(m *data.Images, c model.Classifier) error {
	names := c.Image().Classes
	if slices.ContainsFunc(names, func(s string) bool { return !strings.HasPrefix(s, "LABEL_") }) {
		if err := m.Under(names); err != nil {
			return fmt.Errorf("%w that the model knows", err)
		}
	}
	if len(m.Classes) > c.Vocab() {
		return fmt.Errorf("%d classes, the model has %d", len(m.Classes), c.Vocab())
	}
	return nil
}

// Unit implements Workload.
func (p *Images) Unit() Unit { return Image }

// Counts implements Workload.
func (p *Images) Counts() (training, validation int) { return p.training.Len(), p.validation.Len() }

// Bytes implements Workload.
func (p *Images) Bytes() int { return 0 }

// Floor implements Workload.
func (p *Images) Floor() float64 { return math.NaN() }

// Checksum implements Workload.
func (p *Images) Checksum() uint32 { return p.training.Checksum() }

// ValidationChecksum is that of the validation part.
func (p *Images) ValidationChecksum() uint32 { return p.validation.Checksum() }

// Context implements Workload.
func (p *Images) Context(m model.Model, asked, _ int) (int, error) {
	if asked != 0 && asked != m.Context() {
		return 0, fault.Usage(fmt.Errorf("--context applies to text: an image is always %d tokens, not %d", m.Context(), asked))
	}
	return m.Context(), nil
}

// Sequences implements Workload.
func (p *Images) Sequences(int) (int, error) { return p.training.Len(), nil }

// Batches implements Workload.
func (p *Images) Batches(batch, _ int, at data.Cursor) (Batches, error) {
	b, err := data.NewImageBatches(p.training, p.normalise, p.augment, batch, at)
	return b, fault.BadInput(err)
}

// Validation implements Workload.
func (p *Images) Validation(batch, _, limit int) iter.Seq2[data.Batch, error] {
	if p.validation.Len() == 0 {
		return nil
	}
	return p.validation.Batches(p.normalise, batch, limit)
}

// Calibration implements Workload: images of the training part.
func (p *Images) Calibration(n, _ int, seed uint64) (prune.Sequences, error) {
	b, err := p.training.Sample(p.normalise, n, seed)
	return prune.Sequences{Context: p.tokens, Batch: b}, fault.BadInput(err)
}

// Evaluate implements Workload.
func (p *Images) Evaluate(on prune.Subject, o EvalOptions) (train.Evaluation, error) {
	g := on.Ranks
	if g == nil {
		g = dist.Alone{}
	}
	if p.validation.Len() == 0 {
		return train.Evaluation{}, fault.BadInput(errors.New("no image is held out to evaluate on"))
	}
	if o.Batch == 0 {
		o.Batch = max(1, min(evalTokens/p.tokens, (p.validation.Len()+g.Size()-1)/g.Size()))
	}
	e, err := train.NewEvaluator(on.Model, on.Set, on.Pool, o.Batch, p.tokens, false)
	if err != nil {
		return train.Evaluation{}, err
	}
	defer e.Close()
	o.Context = 1 // an image is one target
	e.Progress = o.progress(p.validation.Len())
	v, err := e.RunOn(g, p.Validation(o.Batch, 0, o.Limit))
	if errors.Is(err, data.ErrImages) {
		err = fault.BadInput(err)
	}
	return v, err
}
