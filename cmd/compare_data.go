package cmd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

// denseModel is the model of one seed, which cells prune copies of, and what it is
// pruned, judged and trained with.
type denseModel struct {
	dir     string
	seed    uint64
	digest  string // of its weights
	context int    // tokens of a sequence, of calibration and of evaluation
	cal     prune.Sequences

	tokens, held data.Tokens // text

	pics *pictures // or images
}

// read reads the data as the model wants it.
func (c *comparison) read(d *denseModel, src *loaded) (err error) {
	if m, ok := src.m.(model.Classifier); ok {
		return c.readImages(d, m)
	}
	if src.tok == nil {
		return fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", d.dir))
	}
	if c.corpus.Train.Documents == nil && c.corpus.Train.IDs == nil {
		if c.corpus, err = data.Load(c.Train.Data); err != nil {
			return fault.BadInput(err)
		}
	}
	context := c.Train.Model.Context
	if context == 0 {
		context = 256
	}
	d.context = c.Train.Train.Resolve(context).Context
	if d.context > src.m.Context() {
		return fault.Usage(fmt.Errorf("train.train.context is %d tokens, the context of %s is %d", d.context, d.dir, src.m.Context()))
	}
	cache := data.Cache{Dir: filepath.Join(c.Out, "cache")}
	if d.tokens, err = cache.Encode(src.tok, c.corpus.Train); err != nil {
		return err
	}
	if d.held, err = cache.Encode(src.tok, c.corpus.Validation); err != nil {
		return err
	}
	if len(d.held) <= d.context {
		return fault.Usage(fmt.Errorf("the held-out part has %d tokens, expected more than a context, %d", len(d.held), d.context))
	}
	d.cal, err = sequences(d.tokens, d.context, c.Sequences, d.seed)
	return fault.BadInput(err)
}

// readImages reads images, whose classes and pixels are as the model knows them.
func (c *comparison) readImages(d *denseModel, m model.Classifier) (err error) {
	if d.pics, err = readPictures(c.Train.Data, m.Image()); err != nil {
		return fault.BadInput(err)
	}
	img := m.Image()
	d.context, d.pics.normalise = m.Context(), data.Normalise{Rescale: img.Rescale, Mean: img.Mean, Std: img.Std}
	for _, p := range []*data.Images{d.pics.train, d.pics.held} {
		if err := underModel(p, m); err != nil {
			return fault.BadInput(fmt.Errorf("%s: %w", c.Train.Data.Path, err))
		}
	}
	if d.pics.held.Len() == 0 {
		return fault.Usage(fmt.Errorf("no image is held out: train.data.validation or validation_path is expected"))
	}
	d.cal, err = calibrationImages(d.pics.train, d.pics.normalise, m, c.Sequences, d.seed)
	return fault.BadInput(err)
}

// heldDigest names what losses are measured on.
func (c *comparison) heldDigest(d *denseModel) string {
	if d.pics != nil {
		h := d.pics.held
		return fmt.Sprintf("images %08x, %d of seed %d", h.Checksum(), h.Len(), c.Train.Data.Seed)
	}
	sum := sha256.New()
	for _, id := range d.held {
		sum.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// loss judges a model on the held-out data.
func (c *comparison) loss(d *denseModel, src *loaded) (float64, error) {
	if d.pics != nil {
		v, err := judgeImages(dist.Alone{}, src.m.(model.Classifier), src.set, c.pool, d.pics.held, d.pics.normalise, 0, c.EvalTokens)
		return v.Loss, err
	}
	v, err := heldLoss(dist.Alone{}, src.m, src.set, c.pool, d.held, d.context, c.EvalTokens)
	return v.Loss, err
}

// batches is what the training behind a cut learns from, in an order that the dense
// model has not seen it in.
func (c *comparison) batches(d *denseModel, batch int) (train.Batches, error) {
	at := data.Cursor{Seed: d.seed, Epoch: 1 << 20}
	if d.pics != nil {
		a := data.Augment{Shift: c.Train.Data.Shift, Flip: c.Train.Data.Flip}
		return data.NewImageBatches(d.pics.train, d.pics.normalise, a, batch, at)
	}
	return data.NewBatches(d.tokens, batch, d.context, at)
}
