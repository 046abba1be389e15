package coupled

import (
	"fmt"
	"math"
)

// scoreStat is what FitGains needs to know about the attention scores of a layer
// under RoPE, for each query head a matrix over 2*pairs features.
//
// The score of query t and key s is the sum over rotation pairs j of
// f_{2j} = scale (q0 k0 + q1 k1), with q and k rotated; a complex gain (a, b) on pair j
// makes its term a f_{2j} + b f_{2j+1} with f_{2j+1} = scale (q0 k1 - q1 k0). A shift of
// all scores of one query changes nothing, and keys without attention do not
// matter, so features are centred over s under the attention probabilities p of the
// uncut model and weighted by them:
//
//	gram = sum_t sum_s p_ts (f_ts - mean_t)(f_ts - mean_t)^T
type scoreStat struct {
	pairs  int
	weight float64     // query positions seen
	gram   [][]float32 // of each query head, [2*pairs * 2*pairs]
}

func newScoreStat(heads, pairs int) *scoreStat {
	s := &scoreStat{pairs: pairs}
	for range heads {
		s.gram = append(s.gram, make([]float32, 4*pairs*pairs))
	}
	return s
}

// defaultQueries is the query positions of a sequence that are looked at.
const defaultQueries = 16

// featureRows is the rows of features that wait for one product.
const featureRows = 1 << 12

// leastProbability is what a key must have to be looked at.
const leastProbability = 1e-7

// scoring says how the scores of a sequence are looked at.
type scoring struct {
	at      *site
	options Options
	both    bool // tokens after it are seen too
	product func(c []float32, n int, x []float32, rows, stride int)
	starts  []int32 // where each token's document begins; nil for 0
	window  int     // 0 is none
}

// keys are the tokens that token pos of t sees, from first to before end.
func (s *scoring) keys(pos, t int) (first, end int) {
	end = pos + 1
	if s.both {
		end = t
	}
	if s.starts != nil {
		first = int(s.starts[pos])
		for end > pos+1 && int(s.starts[end-1]) > pos { // another document
			end--
		}
	}
	switch w := s.window; {
	case w > 0 && s.both:
		first, end = max(first, pos-w/2), min(end, pos+w/2+1)
	case w > 0:
		first = max(first, pos-w+1)
	}
	return first, end
}

// add takes one sequence of T rows of rotated q | k | v.
func (s *scoreStat) add(x []float32, t, stride int, of scoring) {
	n := 2 * s.pairs // features of a head, and its columns
	keys := of.at.heads * of.at.group * n
	queries := of.options.Queries
	if queries == 0 {
		queries = defaultQueries
	}
	queries = min(queries, t)
	f := make([]float32, n*max(t, min(queries*t, featureRows)))
	p := make([]float64, t)
	mean := make([]float64, n)
	for h, gram := range s.gram {
		rows := 0 // of f, for several queries
		for i := range queries {
			if (rows+t)*n > len(f) {
				of.product(gram, n, f, rows, n)
				rows = 0
			}
			pos := (2*i + 1) * t / (2 * queries) // evenly spread
			first, end := of.keys(pos, t)
			if end <= first { // padding sees nothing
				continue
			}
			k0 := keys + h/of.at.group*n
			seen := query{x[pos*stride+h*n:][:n], x[first*stride+k0:], end - first, stride}
			seen.features(f[rows*n:], p, of.options.Scale)
			rows += centre(f[rows*n:], p, mean, end-first, n)
		}
		of.product(gram, n, f, rows, n)
	}
	s.weight += float64(queries)
}

// query is a query q of a head and the keys that it sees, stride values apart.
type query struct {
	q, k         []float32
	keys, stride int
}

// features fills f [keys, len(q)] and the attention probabilities p [keys] of the query.
func (at query) features(f []float32, p []float64, scale float64) {
	top, q, n := math.Inf(-1), at.q, len(at.q)
	for s := range at.keys {
		key, row := at.k[s*at.stride:][:n], f[s*n:][:n]
		score := 0.0
		for j := 0; j < n; j += 2 {
			re := scale * (float64(q[j])*float64(key[j]) + float64(q[j+1])*float64(key[j+1]))
			im := scale * (float64(q[j])*float64(key[j+1]) - float64(q[j+1])*float64(key[j]))
			row[j], row[j+1] = float32(re), float32(im)
			score += re
		}
		p[s] = score
		top = max(top, score)
	}
	sum := 0.0
	for s := range at.keys {
		p[s] = math.Exp(p[s] - top)
		sum += p[s]
	}
	for s := range at.keys {
		p[s] /= sum
	}
}

// centre makes the rows of f sqrt(p)(f - mean under p), leaves out keys of no
// probability, and returns the rows left.
func centre(f []float32, p, mean []float64, keys, n int) int {
	clear(mean)
	for s := range keys {
		for j := range n {
			mean[j] += p[s] * float64(f[s*n+j])
		}
	}
	rows := 0
	for s := range keys {
		if p[s] < leastProbability {
			continue
		}
		root := math.Sqrt(p[s])
		for j := range n {
			f[rows*n+j] = float32(root * (float64(f[s*n+j]) - mean[j]))
		}
		rows++
	}
	return rows
}

func (s *scoreStat) decay(f float64) {
	s.weight *= f
	for _, g := range s.gram {
		for i := range g {
			g[i] *= float32(f)
		}
	}
}

// shrink keeps the query heads of the K/V heads given and the pairs that units lists.
func (s *scoreStat) shrink(heads []int, group int, units func(head int) []int) {
	var gram [][]float32
	n := 2 * s.pairs
	pairs := s.pairs
	for _, g := range heads {
		kept := units(g)
		pairs = len(kept)
		for r := range group {
			old := s.gram[g*group+r]
			m := make([]float32, 0, 4*pairs*pairs)
			for _, i := range features(kept) {
				for _, j := range features(kept) {
					m = append(m, old[i*n+j])
				}
			}
			gram = append(gram, m)
		}
	}
	s.gram, s.pairs = gram, pairs
}

// features lists both features of every pair.
func features(pairs []int) []int {
	out := make([]int, 0, 2*len(pairs))
	for _, p := range pairs {
		out = append(out, 2*p, 2*p+1)
	}
	return out
}

// scoreStat is what was seen of the attention scores of a group, of the right shape.
func (e *Evidence) scoreStat(g Group) (*scoreStat, error) {
	if e == nil || e.sites[g.Layer] == nil || e.sites[g.Layer].scores == nil || e.sites[g.Layer].scores.weight == 0 {
		return nil, fmt.Errorf("%w: no features of attention scores were gathered", ErrEvidence)
	}
	s := e.sites[g.Layer].scores
	if s.pairs != g.Units || len(s.gram)%g.Lists != 0 {
		return nil, fmt.Errorf("%w: it is of another model: %d pairs in %d heads, expected %d", ErrEvidence, s.pairs, len(s.gram), g.Units)
	}
	return s, nil
}
