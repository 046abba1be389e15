package train

import (
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Footprint is the memory that training a model of some shapes takes under a
// resolved configuration. The set needs no storage; nothing is computed and no
// memory is touched: the graph is planned.
func Footprint(c Config, m model.Model, shapes *param.Set, pool *kernel.Pool) (Memory, error) {
	set := shapes.Like()
	set.Weights = set.NewSlab()
	defer set.Weights.Close()
	l := NewLoop(c, optim.Config{}, m, set, pool, nil)
	defer l.Close()
	if err := l.Lower(); err != nil {
		return Memory{}, err
	}
	return l.Memory(), nil
}
