package lab

import (
	"errors"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/recovery"
	"github.com/ecospa/ecospa/pkg/train"
)

// learnText trains a cut model, or adapters beside its weights, on the text's next tokens and
// returns how many and its loss. Batches are those of training against the dense model, which
// has so many parameters; the operations are as many. A token takes 2 a weight of the dense model and 6 a weight
// of the cut one there, here 6, and with adapters 4, for frozen weights have no gradients.
func (c *comparison) learnText(src *bundle.Bundle, d *denseModel, m *config.Method, dense int) (read int64, loss float64, err error) {
	o := recovery.Options{Context: d.context}.Resolve()
	each, parent, child := int64(6), int64(dense), int64(src.Set.Count())
	if m.Learn == config.LearnLoRA {
		each = 4
	}
	tokens := c.Compare.Recover.Tokens * (2*parent + 6*child) / (each * child)
	t := c.Train.Train
	t.Batch, t.MicroBatch, t.Steps = o.Batch, 0, int(max(1, tokens/int64(o.Batch*o.Context)))
	lr := m.LR
	if lr == 0 {
		lr = c.Compare.Recover.LR
	}
	l, err := c.loop(src, d, t.Resolve(d.context), lr)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	if m.Learn == config.LearnText {
		err = c.runLoop(l)
	} else {
		err = c.runAdapted(l, src, d.seed)
	}
	if err != nil {
		return 0, 0, err
	}
	loss, err = c.loss(d, src)
	return l.Tokens, loss, err
}

// runAdapted trains adapters and folds them into the weights.
func (c *comparison) runAdapted(l *train.Loop, src *bundle.Bundle, seed uint64) error {
	a, err := model.NewAdapters(src.Set, model.LoRA{Rank: config.LoRARank}, seed)
	if err != nil {
		return err
	}
	l.Adapt(a)
	if err := c.runLoop(l); err != nil {
		return err
	}
	a.Merge(c.pool, src.Set)
	return nil
}

// loop is the training of a model with a highest learning rate of its own.
func (c *comparison) loop(src *bundle.Bundle, d *denseModel, t train.Config, lr float64) (*train.Loop, error) {
	o := c.Train.Optim
	o.LR, o.MinLR, o.WarmUp = lr, -1, "-1"
	batches, err := c.batches(d, t.Batch)
	if err != nil {
		return nil, err
	}
	return train.NewLoop(t, o.Resolve(t.Steps), src.Model, src.Set, c.pool, batches), nil
}

func (c *comparison) runLoop(l *train.Loop) error {
	err := l.Run(c.ctx)
	if errors.Is(err, train.ErrInterrupted) {
		return ErrInterrupted
	}
	return err
}
