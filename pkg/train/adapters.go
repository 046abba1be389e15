package train

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Adapt makes the loop train adapters instead of the weights: gradients and moments
// are theirs alone. Lower must follow.
func (l *Loop) Adapt(a *model.Adapters) {
	l.closeGrads()
	optim.Close(l.Opt)
	l.adapters = a
	l.Grads, l.Opt = a.Set.NewSlab(), l.newOptimizer()
}

// trained is the parameters that the loop changes.
func (l *Loop) trained() *param.Set {
	if l.adapters != nil {
		return l.adapters.Set
	}
	return l.Set
}

// rewriteAdapted cuts weights and evidence, and the adapters with their gradients and
// the optimizer's state: slabs parallel to them, and others.
func (l *Loop) rewriteAdapted(cut param.Cut, slabs []*param.Slab, state, parallel []graph.Parallel) error {
	own := model.AdapterCut(l.adapters.Set, cut)
	if err := l.adapters.Set.Check(own); err != nil {
		return err
	}
	if err := graph.Rewrite(l.Set, cut, nil, parallel...); err != nil {
		return err
	}
	return graph.Rewrite(l.adapters.Set, own, slabs, state...)
}
