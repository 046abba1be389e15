package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/workload"
)

// denseModel is the model of one seed, which cells prune copies of, and what it is
// pruned, evaluated and trained with.
type denseModel struct {
	dir     string
	seed    uint64
	digest  string // of its weights
	context int    // tokens of a sequence, of calibration and of evaluation
	cal     prune.Sequences
	data    workload.Workload
	held    string // names the validation part
}

// read reads the data as the model wants it.
func (c *comparison) read(d *denseModel, b *bundle.Bundle) (err error) {
	asked := 0
	if m, ok := b.Model.(model.Classifier); ok {
		err = c.readImages(d, m)
	} else {
		err = c.readText(d, b)
		if asked = c.Train.Model.Context; asked == 0 {
			asked = 256
		}
		asked = c.Train.Train.Resolve(asked).Context
	}
	if err != nil {
		return err
	}
	if d.context, err = d.data.Context(b.Model, asked, 0); err != nil {
		return err
	}
	if _, held := d.data.Counts(); held == 0 || d.data.Unit() == workload.Token && held <= d.context {
		return fault.Usage(fmt.Errorf("the held-out part has %d %ss, expected more than a sequence; give train.data.validation or validation_path", held, d.data.Unit()))
	}
	d.cal, err = d.data.Calibration(c.Sequences, d.context, d.seed)
	return err
}

func (c *comparison) readText(d *denseModel, b *bundle.Bundle) error {
	if b.Tokenizer == nil {
		return fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", d.dir))
	}
	cache := data.Cache{Dir: filepath.Join(c.Out, "cache")}
	text, _, err := workload.ReadText(c.Train.Data, func(data.Part) (tokenizer.Tokenizer, error) { return b.Tokenizer, nil }, cache.Encode)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, n := text.Counts()
	ids, err := text.Opening(n)
	if err != nil {
		return fault.BadInput(err)
	}
	for _, id := range ids {
		sum.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
	}
	d.data, d.held = text, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// readImages reads images, whose classes and pixels are as the model knows them.
func (c *comparison) readImages(d *denseModel, m model.Classifier) error {
	images, err := workload.ReadImages(c.Train.Data, m)
	if err != nil {
		return err
	}
	if err := images.As(m, false); err != nil {
		return err
	}
	_, n := images.Counts()
	d.data, d.held = images, fmt.Sprintf("images %08x, %d of seed %d", images.ValidationChecksum(), n, c.Train.Data.Seed)
	return nil
}

// loss evaluates a model on the held-out data.
func (c *comparison) loss(d *denseModel, b *bundle.Bundle) (float64, error) {
	v, err := d.data.Evaluate(prune.Subject{Model: b.Model, Set: b.Set, Pool: c.pool, Ranks: dist.Alone{}}, workload.EvalOptions{Context: d.context, Limit: c.EvalTokens})
	return v.Loss, err
}

// batches is what the training after a cut learns from, in an order that the dense
// model has not seen it in.
func (c *comparison) batches(d *denseModel, batch int) (workload.Batches, error) {
	return d.data.Batches(batch, d.context, data.Cursor{Seed: d.seed, Epoch: 1 << 20})
}
