package recovery

import (
	"math"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestScaleOfGPT2: what a gpt2 has beside a llama gets its share of the rate too: learned
// positions by their own root mean square, as the embedding; biases, also LayerNorm's, by the
// mean of the matrices' and tables', however large they are; gains of LayerNorm a twentieth of theirs.
func TestScaleOfGPT2(t *testing.T) {
	n := net(t, "gpt2")
	matrix := func(p *param.Param) bool { return len(p.Dims) > 1 && !strings.HasSuffix(string(p.Role), "_bias") }
	rms, mean, matrices := map[*param.Param]float64{}, 0.0, 0.0
	for _, p := range n.Set.Params {
		for i := range p.Data() {
			switch p.Role {
			case param.Positions:
				p.Data()[i] = 0.7
			case param.Norm1, param.Norm2, param.FinalNorm:
				p.Data()[i] = 3
			case param.Norm1.Bias(), param.Up.Bias(), param.Q.Bias():
				p.Data()[i] = 40
			}
			rms[p] += float64(p.Data()[i]) * float64(p.Data()[i])
		}
		rms[p] = math.Sqrt(rms[p] / float64(p.Size()))
		if matrix(p) {
			mean, matrices = mean+rms[p], matrices+1
		}
	}
	mean /= matrices
	scale, seen := optim.WeightScale(n.Set, DefaultGain), map[param.Role]bool{}
	for _, p := range n.Set.Params {
		want := mean // biases
		switch {
		case p.Role == param.Norm1 || p.Role == param.Norm2 || p.Role == param.FinalNorm:
			want = 0.05 * 3
		case matrix(p):
			want = rms[p]
		}
		seen[p.Role] = true
		if got := scale(p); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s: scale %g, expected %g", p.Name, got, want)
		}
	}
	for _, r := range []param.Role{param.Positions, param.Norm1.Bias(), param.FinalNorm.Bias(), param.Up.Bias(), param.Q.Bias()} {
		if !seen[r] {
			t.Errorf("the model has no %s", r)
		}
	}
}

// TestScaleOfGemma: gains that are stored as w and work as 1 + w get their share of the rate by
// what they work as: w near 0 is a gain of 1, not one that must not move.
func TestScaleOfGemma(t *testing.T) {
	n := net(t, "gemma3_text")
	gains := 0
	for _, p := range n.Set.Params {
		switch p.Role {
		case param.Norm1, param.Norm2, param.FinalNorm, param.QNorm, param.KNorm:
			gains++
			for i := range p.Data() {
				p.Data()[i] = -0.75
			}
		}
	}
	scale := optim.WeightScale(n.Set, DefaultGain)
	for _, p := range n.Set.Params {
		switch p.Role {
		case param.Norm1, param.Norm2, param.FinalNorm, param.QNorm, param.KNorm:
			if got, want := scale(p), 0.05*0.25; math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s: scale %g, expected %g", p.Name, got, want)
			}
		}
	}
	if gains < 8 {
		t.Errorf("the model has %d gains", gains)
	}
}
