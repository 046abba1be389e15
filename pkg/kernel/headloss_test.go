package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func logitSlow(z float64, l Logits) float64 {
	z *= float64(l.scale())
	if c := float64(l.SoftCap); c > 0 {
		z = c * math.Tanh(z/c)
	}
	return z
}

func headSlow(in [][]float64, targets []int32, N, E, V int, smooth float64, l Logits) []float64 {
	nll := make([]float64, N)
	for n, target := range targets {
		if target < 0 {
			continue
		}
		z, sum, mean := make([]float64, V), 0.0, 0.0
		for v := range V {
			z[v] = in[2][v]
			for e := range E {
				z[v] += in[0][n*E+e] * in[1][v*E+e]
			}
			z[v] = logitSlow(z[v], l)
			sum += math.Exp(z[v])
			mean += z[v] / float64(V)
		}
		nll[n] = math.Log(sum) - (1-smooth)*z[target] - smooth*mean
	}
	return nll
}

func TestHeadLoss(t *testing.T) {
	for _, c := range []struct {
		N, E, V int
		smooth  float32
		logits  Logits
	}{
		{1, 1, 1, 0, Logits{}}, {5, 7, 13, 0, Logits{}}, {9, 16, 50, 0.1, Logits{}}, {logitRows + 3, 5, 37, 0, Logits{}}, {2*logitRows + 1, 3, 10, 0.2, Logits{}},
		{logitRows, 8, 17, 0, Logits{}}, {5, 7, 13, 0.1, Logits{Scale: 0.25}}, {9, 16, 50, 0.1, Logits{SoftCap: 3}}, {3, 2, logitBlock + 30, 0, Logits{0.7, 2}},
		{5, 2, headPiece + 30, 0.1, Logits{0.7, 2}}, // in pieces
	} {
		N, E, V := c.N, c.E, c.V
		targets := make([]int32, N)
		r := rand.New(rand.NewPCG(1, uint64(N)))
		for i := range targets {
			if targets[i] = int32(r.IntN(V)); N > 1 && r.IntN(5) == 0 {
				targets[i] = -1
			}
		}
		o := HeadOptions{Scale: 0.25, Smoothing: c.smooth, Logits: c.logits}
		conform(t, op{
			name: fmt.Sprintf("%+v", c), in: []int{N * E, V * E, V}, out: []int{N}, tol: 5e-6, gradTol: 2e-5, dout: o.Scale,
			forward: func(p *Pool, out, in [][]float32) {
				HeadLoss(p, HeadInput{X: in[0], W: in[1], Bias: in[2], Targets: targets, N: N, E: E, V: V}, o, HeadOutput{NLL: out[0]})
			},
			reference: func(in [][]float64) [][]float64 {
				return [][]float64{headSlow(in, targets, N, E, V, float64(o.Smoothing), o.Logits)}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				HeadLoss(p, HeadInput{X: in[0], W: in[1], Bias: in[2], Targets: targets, N: N, E: E, V: V}, o, HeadOutput{NLL: out[0], DX: din[0], DW: din[1], DBias: din[2]})
			},
			diff: []int{0, 1, 2}, adds: []int{1, 2},
		})
	}
}

// Each gradient may be left out without changing the others.
func TestHeadLossParts(t *testing.T) {
	const N, E, V = 10, 6, 20
	r := rand.New(rand.NewPCG(2, 2))
	x, w, targets := filled(r, N, E).Data, filled(r, V, E).Data, make([]int32, N)
	p := NewPool(2)
	defer p.Close()
	o := HeadOptions{Scale: 1}
	var want [3][]float32
	for mask := 7; mask >= 0; mask-- {
		d := [3][]float32{make([]float32, N*E), make([]float32, V*E), make([]float32, V)}
		for i := range d {
			if mask>>i&1 == 0 {
				d[i] = nil
			}
		}
		nll := make([]float32, N)
		HeadLoss(p, HeadInput{X: x, W: w, Targets: targets, N: N, E: E, V: V}, o, HeadOutput{NLL: nll, DX: d[0], DW: d[1], DBias: d[2]})
		if mask == 7 {
			want = d
		}
		for i := range d {
			for j, v := range d[i] {
				if v != want[i][j] {
					t.Fatalf("parts %b: gradient %d[%d] = %g, want %g", mask, i, j, v, want[i][j])
				}
			}
		}
	}
}

// With logits of ±1e4 the loss is their exact difference.
func TestHeadLossLargeLogits(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	nll, dx := make([]float32, 2), make([]float32, 2)
	HeadLoss(p, HeadInput{X: []float32{1, -1}, W: []float32{1e4, -1e4, 0}, Targets: []int32{0, 0}, N: 2, E: 1, V: 3}, HeadOptions{Scale: 1}, HeadOutput{NLL: nll, DX: dx})
	if nll[0] != 0 || nll[1] != 2e4 || dx[0] != 0 || dx[1] != -2e4 {
		t.Errorf("nll %v, want [0 20000]; dx %v, want [0 -20000]", nll, dx)
	}
}

// A bfloat16 head is the float32 head of rounded inputs, to rounding.
func TestHeadLossBF16(t *testing.T) {
	const N, E, V = 33, 40, 70
	r := rand.New(rand.NewPCG(4, 4))
	x, w, targets := filled(r, N, E).Data, filled(r, V, E).Data, make([]int32, N)
	for _, s := range [][]float32{x, w} {
		for i, v := range s {
			s[i] = math.Float32frombits(math.Float32bits(v) &^ 0xffff)
		}
	}
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		run := func(bf16 bool) (nll, dx []float32) {
			nll, dx = make([]float32, N), make([]float32, N*E)
			HeadLoss(p, HeadInput{X: x, W: w, Targets: targets, N: N, E: E, V: V}, HeadOptions{Scale: 1, BF16: bf16}, HeadOutput{NLL: nll, DX: dx})
			return nll, dx
		}
		nll, dx := run(false)
		nllB, dxB := run(true)
		for i := range nll {
			if math.Abs(float64(nll[i]-nllB[i])) > 1e-5 {
				t.Fatalf("nll[%d] = %g in bfloat16, %g in float32", i, nllB[i], nll[i])
			}
		}
		for i := range dx { // the gradient of the logits is rounded: 2⁻⁹ each
			if math.Abs(float64(dx[i]-dxB[i])) > 1e-2 {
				t.Fatalf("dx[%d] = %g in bfloat16, %g in float32", i, dxB[i], dx[i])
			}
		}
	})
}
