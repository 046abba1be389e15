package coupled

import (
	"errors"

	"github.com/ecospa/ecospa/pkg/param"
)

// widened makes float32 copies of the blocks of some parameters that are stored in another
// type and are not widened yet. done ends that: with keep what the copies hold then is rounded
// to the type, without they are dropped.
func widened(set *param.Set, params ...*param.Param) (done func(keep bool) error) {
	var blocks []*param.Block
	for _, p := range params {
		if b := p.BlockOf(); set.Weights != nil && b.DType() != param.F32 {
			set.Widen(b)
			blocks = append(blocks, b)
		}
	}
	return func(keep bool) error {
		var errs []error
		for _, b := range blocks {
			if keep {
				errs = append(errs, set.Narrow(b))
			} else {
				set.Revert(b)
			}
		}
		return errors.Join(errs...)
	}
}
