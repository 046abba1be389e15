package train

import (
	"errors"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// AverageFile is the name of the averaged weights in a checkpoint.
const AverageFile = "average.bin"

// BeginAverage begins the moving average of Config.EMA with the present weights:
//
//	average = EMA·average + (1-EMA)·weights   after every step
//
// It is pruned with the weights.
func (l *Loop) BeginAverage() error {
	if l.adapters != nil || l.DType() != param.F32 {
		return errors.New("train.ema averages float32 weights: it does not go with lora or train.weights bf16")
	}
	l.average = l.Set.NewSlab()
	l.resetAverage()
	return nil
}

// Average is the averaged weights, parallel to Set; nil without Config.EMA.
func (l *Loop) Average() *param.Slab { return l.average }

// WithAverage calls f while the parameters have the averaged values.
func (l *Loop) WithAverage(f func() error) error {
	l.swapAverage()
	defer l.swapAverage()
	return f()
}

func (l *Loop) swapAverage() {
	a, w := l.average.Data, l.Set.Weights.Data
	for i, x := range a {
		a[i], w[i] = w[i], x
	}
}

// resetAverage makes the average the present weights: at its beginning, and where a cut has
// changed the weights that are kept.
func (l *Loop) resetAverage() {
	if l.average != nil {
		copy(l.average.Data, l.Set.Weights.Data)
	}
}

// addAverage takes the weights of a step.
func (l *Loop) addAverage() {
	if l.average != nil {
		a, d := l.average.Data, float32(l.EMA)
		kernel.WeightedSum(l.Pool, a, a, d, l.Set.Weights.Data, 1-d)
	}
}
