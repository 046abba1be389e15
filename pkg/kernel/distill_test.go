package kernel

import (
	"math"
	"testing"
)

func softmaxSlow(z []float64, temperature float64) []float64 {
	y, sum := make([]float64, len(z)), 0.0
	for i, v := range z {
		y[i] = math.Exp(v / temperature)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

func logitsSlow(x, w, bias []float64, E int, l Logits) []float64 {
	z := make([]float64, len(w)/E)
	for v := range z {
		if bias != nil {
			z[v] = bias[v]
		}
		for e := range E {
			z[v] += x[e] * w[v*E+e]
		}
		z[v] = logitSlow(z[v], l)
	}
	return z
}

func TestDistillLoss(t *testing.T) {
	for _, c := range []struct {
		N, E, Et, V                 int
		temperature, weight, smooth float32
		logits, teacher             Logits
	}{
		{1, 1, 2, 2, 1, 1, 0, Logits{}, Logits{}}, {7, 5, 9, 31, 2, 0.5, 0, Logits{}, Logits{}},
		{logitRows + 2, 3, 4, 17, 3, 0.7, 0.1, Logits{}, Logits{}}, {9, 8, 3, 40, 1, 0, 0, Logits{}, Logits{}},
		{7, 5, 9, 31, 2, 0.5, 0.1, Logits{0.5, 2}, Logits{0.7, 4}}, {7, 5, 9, 31, 2, 0.5, 0, Logits{Scale: 2}, Logits{}},
	} {
		N, E, Et, V := c.N, c.E, c.Et, c.V
		targets := make([]int32, N)
		for i := range targets {
			if targets[i] = int32(i * 5 % V); i%4 == 3 {
				targets[i] = -1
			}
		}
		o := HeadOptions{Scale: 0.5, Smoothing: c.smooth, Logits: c.logits}
		teacher := func(in [][]float32) Teacher {
			return Teacher{X: in[3], W: in[4], Bias: in[5], E: Et, Temperature: c.temperature, Weight: c.weight, Logits: c.teacher}
		}
		// The first output is the loss itself: only it is differentiated.
		conform(t, op{
			name: "distill", in: []int{N * E, V * E, V, N * Et, V * Et, V}, out: []int{N, N, N}, tol: 1e-5, gradTol: 3e-5, dout: o.Scale,
			forward: func(p *Pool, out, in [][]float32) {
				DistillLoss(p, HeadInput{X: in[0], W: in[1], Bias: in[2], Targets: targets, N: N, E: E, V: V}, o, teacher(in), HeadOutput{NLL: out[1], KL: out[2]})
				for i := range out[0] {
					out[0][i] = (1-c.weight)*out[1][i] + c.weight*out[2][i]
				}
			},
			reference: func(in [][]float64) [][]float64 {
				nll := headSlow(in, targets, N, E, V, float64(c.smooth), c.logits)
				loss, kl := make([]float64, N), make([]float64, N)
				for n, target := range targets {
					if target < 0 {
						continue
					}
					T := float64(c.temperature)
					s := softmaxSlow(logitsSlow(in[0][n*E:], in[1], in[2], E, c.logits), T)
					q := softmaxSlow(logitsSlow(in[3][n*Et:], in[4], in[5], Et, c.teacher), T)
					for i := range q {
						kl[n] += T * T * q[i] * math.Log(q[i]/s[i])
					}
					loss[n] = float64(1-c.weight)*nll[n] + float64(c.weight)*kl[n]
				}
				return [][]float64{loss, nll, kl}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				DistillLoss(p, HeadInput{X: in[0], W: in[1], Bias: in[2], Targets: targets, N: N, E: E, V: V}, o, teacher(in), HeadOutput{NLL: out[1], KL: out[2], DX: din[0], DW: din[1], DBias: din[2]})
			},
			diff: []int{0, 1, 2}, adds: []int{1, 2},
		})
	}
}

// A student that is its teacher has nothing to learn.
func TestDistillFromItself(t *testing.T) {
	const N, E, V = 6, 5, 20
	x, w := noise(N*E), noise(V*E)
	nll, kl, dx := make([]float32, N), make([]float32, N), make([]float32, N*E)
	p := NewPool(2)
	defer p.Close()
	DistillLoss(p, HeadInput{X: x, W: w, Targets: make([]int32, N), N: N, E: E, V: V}, HeadOptions{Scale: 1}, Teacher{X: x, W: w, E: E, Temperature: 2, Weight: 1}, HeadOutput{NLL: nll, KL: kl, DX: dx})
	for _, v := range append(kl, dx...) {
		if math.Abs(float64(v)) > 1e-5 {
			t.Errorf("kl %v dx %v, want zeros", kl, dx)
			break
		}
	}
}

// TestDistillFromStored: a teacher's head that is bfloat16 or Q8 is that of its values.
func TestDistillFromStored(t *testing.T) {
	const N, E, V = 6, 32, 20
	x, w := noise(N*E), noise(V*E)
	p := NewPool(2)
	defer p.Close()
	run := func(teacher Teacher) []float32 {
		nll, kl := make([]float32, N), make([]float32, N)
		teacher.X, teacher.E, teacher.Temperature, teacher.Weight = noise(N*E), E, 1, 1
		DistillLoss(p, HeadInput{X: x, W: w, Targets: make([]int32, N), N: N, E: E, V: V}, HeadOptions{Scale: 1}, teacher, HeadOutput{NLL: nll, KL: kl})
		return kl
	}
	half, blocks := make([]uint16, V*E), make([]byte, V*E/Q8Block*Q8Bytes)
	ToBF16(half, w)
	ToQ8(blocks, w)
	for i, stored := range []Weights{{BF16: half}, {Q8: blocks}} {
		wide := make([]float32, V*E)
		for row := range V {
			stored.row(wide[row*E:][:E], row, E)
		}
		got, want := run(Teacher{Stored: stored}), run(Teacher{W: wide})
		for j := range got {
			if math.Abs(float64(got[j]-want[j])) > 1e-5 {
				t.Errorf("%d: divergence of row %d is %g, of the values %g", i, j, got[j], want[j])
			}
		}
	}
}
