package optim

import (
	"math"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// WeightScale makes learning rates follow the size of each tensor: a matrix's rate is LR
// times the root mean square of its weights as they are now, a norm gain's is gain times
// that, since everything behind it scales with it (of gains that work as 1 + w the root mean
// square of 1 + w). A fixed rate is right for one model
// and ruins another whose weights are smaller. Biases, and tensors of zeros, take the mean
// of the matrices.
func WeightScale(set *param.Set, gain float64) func(p *param.Param) float64 {
	scale := make(map[*param.Param]float64, len(set.Params))
	sum, n := 0.0, 0
	for _, p := range set.Params {
		scale[p] = rms(p)
		if isMatrix(p) && scale[p] > 0 {
			sum, n = sum+scale[p], n+1
		}
	}
	mean := sum / float64(max(1, n))
	for p := range scale {
		switch {
		case scale[p] == 0 || strings.HasSuffix(string(p.Role), "_bias"):
			scale[p] = mean
		case !isMatrix(p):
			scale[p] *= gain
		}
	}
	return func(p *param.Param) float64 { return scale[p] }
}

// isMatrix reports whether a parameter is a matrix or a table of rows.
func isMatrix(p *param.Param) bool {
	return p.Decay || len(p.Dims) > 1 && p.Dims[len(p.Dims)-1].Name == "embed"
}

// rms is the root mean square of a parameter, as the model uses it.
func rms(p *param.Param) float64 {
	var sum float64
	buf := make([]float32, min(piece, p.Size()))
	for lo := 0; lo < p.Size(); lo += piece {
		for _, v := range p.Floats(buf, lo, min(lo+piece, p.Size())) {
			v += p.Plus
			sum += float64(v) * float64(v)
		}
	}
	return math.Sqrt(sum / float64(max(1, p.Size())))
}
