package train

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// shape says which machine of a model is wanted.
type shape struct {
	batch, context int
	bf16           bool
	smoothing      float64                                    // of targets
	grads          *param.Slab                                // nil for evaluation, and with update
	update         func(b *param.Block, grad []float32) error // see graph.LowerOptions
	taps, layers   bool                                       // gate gradients as outputs; those of whole layers too
	reuse          *graph.Machine                             // replaced by the new one
	recompute      graph.Recompute
	inGradients    bool              // gradients are of one run: values may live in their memory
	finished       func(lo, hi int)  // told of gradients that are complete; may be nil
	adapters       *model.Adapters   // trained instead of the parameters; nil for none
	teacher        *teacherModel     // of the loss; nil for none
	documents      bool              // sequences are packed of documents
	preference     *graph.Preference // pairs of answers are judged; nil: tokens are predicted
}

// lower builds a model's loss graph and makes its machine.
func lower(m model.Model, set *param.Set, pool *kernel.Pool, s shape) (*graph.Machine, error) {
	build := graph.BuildOptions{Train: s.grads != nil || s.update != nil, BF16: s.bf16, Smoothing: float32(s.smoothing), Documents: s.documents, Preference: s.preference, LayerGates: s.layers}
	if s.teacher != nil {
		build.Teacher = s.teacher.head
	}
	b := graph.NewBuilder(set, build)
	o := graph.LowerOptions{Pool: pool, Grads: s.grads, Taps: s.taps, Reuse: s.reuse, Recompute: s.recompute, InGradients: s.inGradients, Finished: s.finished, Update: s.update}
	if s.adapters != nil {
		b.AdaptLinear(s.adapters.Set, s.adapters.Scale)
		o.Grads, o.AdapterGrads = nil, s.grads
	}
	m.Loss(b, s.batch, s.context, 0)
	return b.Lower(o)
}
