package serve

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// LoadOptions say how a model is opened for serving.
type LoadOptions struct {
	ID      string      // name in answers; default the path's last element
	Threads int         // worker threads; 0 is one a core
	Weights param.DType // type in which the weights are kept; "" is float32
	// Template is the name of a chat template (chat.Named) that stands in for the model's own.
	Template               string
	infer.SchedulerOptions // Int8 is an error where no weights are of Q8
}

// Load opens the model at path and starts its scheduler. close ends both.
func Load(path string, o LoadOptions) (m *Model, close func(), err error) {
	b, err := bundle.Open(path, bundle.Options{Weights: o.Weights})
	if err != nil {
		return nil, nil, err
	}
	return startModel(b, path, o)
}

// hasQ8 reports whether weights of b are of Q8.
func hasQ8(b *bundle.Bundle) bool {
	return slices.ContainsFunc(b.Set.Blocks, func(b *param.Block) bool { return b.DType() == param.Q8 })
}

// startModel starts the scheduler of b, which was opened at path. b is closed with it, and after
// an error.
func startModel(b *bundle.Bundle, path string, o LoadOptions) (m *Model, close func(), err error) {
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	_, encoder := b.Model.(model.Encoder)
	if o.Int8 && (encoder || !hasQ8(b)) {
		return nil, nil, fault.Usage(fmt.Errorf("--int8: %s is no decoder with weights of q8_0, which alone are multiplied as integers; give --weights q8_0 as well", path))
	}
	if encoder {
		return loadEncoder(b, path, o)
	}
	if err := b.Text(); err != nil {
		return nil, nil, err
	}
	d, ok := b.Model.(model.Decoder)
	if !ok {
		return nil, nil, fault.Usage(fmt.Errorf("%s: a model of the family %s cannot generate text", path, b.Model.Family()))
	}
	pool := kernel.NewPool(o.Threads)
	s, err := infer.NewScheduler(infer.Source{Model: d, Set: b.Set, Pool: pool, Never: b.Unused()}, o.SchedulerOptions)
	if err != nil {
		pool.Close()
		return nil, nil, fault.Usage(err)
	}
	m = &Model{ID: o.ID, Created: time.Now(), Scheduler: s, Tokenizer: b.Tokenizer, Ends: b.Ends}
	m.called(path)
	if m.Chat, err = b.Chat(o.Template); err != nil {
		s.Close()
		pool.Close()
		return nil, nil, fault.Usage(err)
	}
	if front, _ := b.Tokenizer.Template(); len(front) > 0 {
		m.BOS = m.name(front[0])
	}
	if len(b.Ends) > 0 {
		m.EOS = m.name(b.Ends[0])
	}
	return m, func() { s.Close(); pool.Close(); b.Close() }, nil
}

// called names a model without a name by its path.
func (m *Model) called(path string) {
	if m.ID != "" {
		return
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		whole = path
	}
	m.ID = filepath.Base(whole)
}
