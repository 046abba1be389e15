package coupled

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// roped is rotated q | k | v rows of one sequence of a model with one layer.
func roped(z sizes, tokens int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 6))
	x := make([]float32, tokens*((z.kv*z.r+z.kv)*2*z.qk+z.kv*z.vo))
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// scoreError is what FitGains minimises, straight from its definition: for query
// head h, over every query t and key s <= t, p_ts times the squared difference,
// centred over s under p, between the scores of all pairs and those of the kept
// pairs with gains.
func scoreError(z sizes, x []float32, tokens, h int, scale float64, gain map[int]complex128) float64 {
	stride := len(x) / tokens
	total := 0.0
	for t := range tokens {
		p, diff := make([]float64, t+1), make([]float64, t+1)
		sum := 0.0
		for s := range t + 1 {
			for j := range z.qk {
				q := complex(float64(x[t*stride+(h*z.qk+j)*2]), float64(x[t*stride+(h*z.qk+j)*2+1]))
				at := s*stride + z.kv*z.r*2*z.qk + (h/z.r*z.qk+j)*2
				k := complex(float64(x[at]), float64(x[at+1]))
				full := scale * real(q*complex(real(k), -imag(k))) // q0 k0 + q1 k1
				p[s] += full
				diff[s] += full
				if c, ok := gain[j]; ok { // q' = c q
					diff[s] -= scale * real(c*q*complex(real(k), -imag(k)))
				}
			}
			p[s] = math.Exp(p[s])
			sum += p[s]
		}
		mean := 0.0
		for s := range p {
			p[s] /= sum
			mean += p[s] * diff[s]
		}
		for s := range p {
			total += p[s] * (diff[s] - mean) * (diff[s] - mean)
		}
	}
	return total
}

// TestGainsAreTheBest: the gains folded into W_Q minimise the definition's error.
func TestGainsAreTheBest(t *testing.T) {
	z := sizes{layers: 1, kv: 2, r: 2, qk: 5, vo: 2, ffn: 2, embed: 6, rope: true, gated: true}
	const tokens, scale = 12, 0.4
	x := roped(z, tokens, 1)
	s := z.set(t)
	e := NewEvidence(s, Options{Gains: true, Scale: scale, Queries: tokens})
	if err := e.Observe("layer.0.qkv", x, 1, tokens); err != nil {
		t.Fatal(err)
	}
	kept := [][]int{{0, 2, 3}, {1, 2, 4}}
	old := append([]float32(nil), s.Param("layer.0.q").Data()...)
	if err := FitGains(s, e, param.Cut{"layer.0.qk": kept}, 1e-7); err != nil {
		t.Fatal(err)
	}
	now := s.Param("layer.0.q").Data()
	for h := range z.kv * z.r {
		plain, gain := map[int]complex128{}, map[int]complex128{}
		for j := range z.qk {
			// The pair's rows are w0, w1 and have become those of c (w0 + i w1).
			at := (h*z.qk + j) * 2 * z.embed
			w := complex(float64(old[at]), float64(old[at+z.embed]))
			c := complex(float64(now[at]), float64(now[at+z.embed])) / w
			if !contains(kept[h/z.r], j) {
				if c != 1 {
					t.Errorf("pair %d of head %d goes but has a gain of %v", j, h, c)
				}
				continue
			}
			plain[j], gain[j] = 1, c
			for col := range z.embed {
				want := c * complex(float64(old[at+col]), float64(old[at+z.embed+col]))
				got := complex(float64(now[at+col]), float64(now[at+z.embed+col]))
				if d := got - want; math.Hypot(real(d), imag(d)) > 1e-4 {
					t.Fatalf("head %d pair %d column %d is %v, expected %v", h, j, col, got, want)
				}
			}
		}
		best := scoreError(z, x, tokens, h, scale, gain)
		if before := scoreError(z, x, tokens, h, scale, plain); best > 0.97*before {
			t.Errorf("head %d: error %g with gains, %g without", h, best, before)
		}
		for j, c := range gain {
			for _, d := range []complex128{0.01, -0.01, 0.01i, -0.01i} {
				gain[j] = c + d
				if got := scoreError(z, x, tokens, h, scale, gain); got < best-1e-7 {
					t.Errorf("head %d: moving the gain of pair %d by %v lowers the error from %g to %g", h, j, d, best, got)
				}
			}
			gain[j] = c
		}
	}
}

func contains(l []int, x int) bool {
	for _, y := range l {
		if x == y {
			return true
		}
	}
	return false
}

// TestScoreStatShrinks: features of kept pairs of kept heads stay in their places.
func TestScoreStatShrinks(t *testing.T) {
	s := newScoreStat(4, 3)
	for h, g := range s.gram {
		for i := range g {
			g[i] = float32(100*h + i)
		}
	}
	s.shrink([]int{1}, 2, func(head int) []int { return []int{0, 2} })
	if len(s.gram) != 2 || s.pairs != 2 {
		t.Fatalf("%d heads of %d pairs, expected 2 of 2", len(s.gram), s.pairs)
	}
	for h := range s.gram {
		for i, f := range []int{0, 1, 4, 5} {
			for j, g := range []int{0, 1, 4, 5} {
				if want := float32(100*(h+2) + f*6 + g); s.gram[h][i*4+j] != want {
					t.Errorf("head %d feature %d, %d is %g, expected %g", h, i, j, s.gram[h][i*4+j], want)
				}
			}
		}
	}
}

func TestGainsRefuse(t *testing.T) {
	s := small.set(t)
	cut := param.Cut{"layer.0.qk": {{0}, {1}}}
	if err := FitGains(s, NewEvidence(s, Options{}), cut, 0); err == nil {
		t.Error("gains were fitted to nothing")
	}
	if err := FitGains(s, NewEvidence(s, Options{Gains: true}), param.Cut{"layer.0.ffn": {{0}}}, 0); err != nil {
		t.Errorf("a cut without qk was refused: %v", err)
	}
}
