package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// judgedSlow is the summed loss of the pairs, in float64 and without sharing anything with Judge.
func judgedSlow(s Preference, pairs []int32, nll []float64, ref []float32) (loss float64) {
	for lo := 0; lo < len(nll); lo += 2 * s.T {
		seen := map[int32]bool{}
		for _, c := range pairs[lo : lo+s.T] {
			if c < 0 || seen[c] {
				continue
			}
			seen[c] = true
			var r [2]float64
			for side := range r {
				sum, n := 0.0, 0.0
				for i := range s.T {
					if at := lo + side*s.T + i; pairs[at] == c {
						sum, n = sum-nll[at], n+1
					}
				}
				if s.Mean {
					r[side] = float64(s.Beta) * sum / n
				} else {
					r[side] = float64(s.Beta) * (sum - float64(ref[lo+side*s.T+int(c)]))
				}
			}
			loss -= math.Log(1 / (1 + math.Exp(-(r[0] - r[1] - float64(s.Margin)))))
		}
	}
	return loss
}

// TestJudge: losses are those of a plain program, and Factors their gradients.
func TestJudge(t *testing.T) {
	const T = 9
	pairs := []int32{ // two and two: pairs at columns 0 and 4 with a prompt before each answer, then one pair
		-1, 0, 0, 0, -1, -1, 4, 4, -1,
		-1, 0, 0, -1, -1, -1, 4, 4, 4,
		-1, -1, -1, -1, -1, -1, -1, -1, -1,
		-1, -1, -1, -1, -1, -1, -1, -1, -1,
		0, 0, 0, 0, 0, 0, 0, 0, 0,
		-1, -1, 0, -1, -1, -1, -1, -1, -1,
	}
	rng := rand.New(rand.NewPCG(3, 1))
	n := len(pairs)
	nll, ref := make([]float32, n), make([]float32, n)
	for i := range nll {
		nll[i], ref[i] = 3*rng.Float32(), -6*rng.Float32()
	}
	for _, s := range []Preference{{T: T, Beta: 0.4}, {T: T, Beta: 2, Margin: 0.8, Mean: true}} {
		r := PreferenceRows{Pairs: pairs, NLL: nll, Reference: ref, Rewards: make([]float32, n), Factors: make([]float32, n)}
		wide := func() []float64 {
			out := make([]float64, n)
			for i, x := range nll {
				out[i] = float64(x)
			}
			return out
		}
		if got, want := s.Judge(r), judgedSlow(s, pairs, wide(), ref); math.Abs(got-want) > 1e-9 {
			t.Errorf("%+v: loss %g, expected %g", s, got, want)
		}
		const h = 1e-5
		for i := range nll {
			up, down := wide(), wide()
			up[i] += h
			down[i] -= h
			want := (judgedSlow(s, pairs, up, ref) - judgedSlow(s, pairs, down, ref)) / (2 * h)
			if got := float64(r.Factors[i]); math.Abs(got-want) > 1e-6 {
				t.Errorf("%+v: factor %d is %g, finite differences %g", s, i, got, want)
			}
		}
		if margin := r.Rewards[4*T] - r.Rewards[5*T]; margin == 0 || r.Rewards[1] != 0 {
			t.Errorf("%+v: rewards %v", s, r.Rewards)
		}
	}
}

// A head with factors for its rows has the gradients of the sum that they make.
func TestHeadLossRows(t *testing.T) {
	const N, E, V = logitRows + 5, 4, 11
	r := rand.New(rand.NewPCG(7, 2))
	x, w, targets, rows := filled(r, N, E).Data, filled(r, V, E).Data, make([]int32, N), filled(r, N, 1).Data
	for i := range targets {
		targets[i] = int32(r.IntN(V))
	}
	p := NewPool(2)
	defer p.Close()
	nll, dx, dw := make([]float32, N), make([]float32, N*E), make([]float32, V*E)
	HeadLoss(p, HeadInput{X: x, W: w, Targets: targets, N: N, E: E, V: V}, HeadOptions{Scale: 0.5, Rows: rows}, HeadOutput{NLL: nll, DX: dx, DW: dw})
	one, sum := make([]float32, E), make([]float64, V*E)
	for n := range N {
		dwn := make([]float32, V*E)
		HeadLoss(p, HeadInput{X: x[n*E:][:E], W: w, Targets: targets[n:], N: 1, E: E, V: V}, HeadOptions{Scale: 0.5 * rows[n]}, HeadOutput{NLL: nll[:1], DX: one, DW: dwn})
		for i, v := range one {
			if math.Abs(float64(v-dx[n*E+i])) > 1e-6 {
				t.Fatalf("dx of row %d is %v, expected %v", n, dx[n*E:][:E], one)
			}
		}
		for i, v := range dwn {
			sum[i] += float64(v)
		}
	}
	for i, v := range sum {
		if math.Abs(v-float64(dw[i])) > 1e-4 {
			t.Fatalf("dw[%d] is %g, expected %g", i, dw[i], v)
		}
	}
}
