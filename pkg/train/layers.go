package train

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// LayerNorm is one layer, or a parameter outside of the layers, in one step.
type LayerNorm struct {
	Name   string  `json:"name"`   // "layer 3", or the parameter's name
	Grad   float64 `json:"grad"`   // L2 norm of its gradient, before clipping
	Update float64 `json:"update"` // L2 norm of what the step changed by that of its weights
}

// layerWatch measures one step.
type layerWatch struct {
	norms  []LayerNorm
	params [][]*param.Param
	before *param.Slab // the weights before the update
}

// watchLayers measures the gradients of the step under way, where Loop.LayersEvery says so:
// see watched. It keeps a copy of the weights, 4 bytes each, until then.
func (l *Loop) watchLayers() (*layerWatch, error) {
	if l.LayersEvery == 0 || l.Step%l.LayersEvery != 0 {
		return nil, nil
	}
	w, at := &layerWatch{before: l.trained().NewSlab()}, map[string]int{}
	copy(w.before.Data, l.trained().Weights.Data)
	for _, p := range l.trained().Params {
		name := p.Name
		if p.Layer != param.Outside {
			name = fmt.Sprintf("layer %d", p.Layer)
		}
		i, ok := at[name]
		if !ok {
			i = len(w.norms)
			at[name], w.norms, w.params = i, append(w.norms, LayerNorm{Name: name}), append(w.params, nil)
		}
		w.params[i] = append(w.params[i], p)
	}
	squares := make([]float64, len(w.norms))
	for i, params := range w.params {
		for _, p := range params {
			squares[i] += kernel.SumSquares(l.Pool, p.In(l.Grads))
		}
	}
	if l.sharded() { // each rank has the sums of its part only
		if err := l.group.SumFloat64(squares); err != nil {
			w.before.Close()
			return nil, err
		}
	}
	for i, s := range squares {
		w.norms[i].Grad = math.Sqrt(s)
	}
	return w, nil
}

// watched is the step's norms after the update.
func (l *Loop) watched(w *layerWatch) []LayerNorm {
	if w == nil {
		return nil
	}
	defer w.before.Close()
	for i, params := range w.params {
		change, size := 0.0, 0.0
		for _, p := range params {
			old := p.In(w.before)
			size += kernel.SumSquares(l.Pool, old)
			kernel.WeightedSum(l.Pool, old, p.Data(), 1, old, -1)
			change += kernel.SumSquares(l.Pool, old)
		}
		if size > 0 {
			w.norms[i].Update = math.Sqrt(change / size)
		}
	}
	return w.norms
}
