package coupled

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
	"gonum.org/v1/gonum/mat"
)

// FitGains gives each rotation pair that a cut keeps a complex gain in each query
// head, fitted so that the attention scores of the kept pairs come as near as they can to
// the scores of all pairs. A gain commutes with the rotation,
//
//	q0' = a q0 - b q1,    q1' = a q1 + b q0,
//
// and is folded into the rows of W_Q (and its bias) in place. With the features and
// their Gram matrix G of scoreStat, kept features k and the even features p of the
// pairs that go, (a, b) = (1, 0) + (G_kk + lambda I)^-1 G_kp 1, which is least squares
// with a ridge towards (1, 0); lambda = ridge * mean diagonal of G_kk.
//
// Call it before the cut is carried out. Groups that the cut leaves whole, and models
// without RoPE, are left as they are; so are those with a norm of queries and keys, whose gains a
// turned pair would not commute with. Needs evidence with Options.Gains. ridge 0 is DefaultRidge.
func FitGains(set *param.Set, e *Evidence, cut param.Cut, ridge float64) error {
	if ridge == 0 {
		ridge = DefaultRidge
	}
	if !(ridge > 0 && ridge < 1e6) {
		return fmt.Errorf("ridge is %g, expected above 0", ridge)
	}
	if err := set.Check(cut); err != nil {
		return err
	}
	for _, g := range Groups(set) {
		keep, ok := cut[g.Dim]
		if g.Kind != QK || !ok || !set.Dim(g.Dim).Track || g.normed {
			continue
		}
		s, err := e.scoreStat(g)
		if err != nil {
			return fmt.Errorf("fit gains of %s: %w", g, err)
		}
		heads := upTo(g.Lists)
		if k, ok := cut[g.Per]; ok {
			heads = k[0]
		}
		done := widened(set, g.params...)
		err = g.fitGains(s, heads, keep, ridge)
		if err = errors.Join(err, done(err == nil)); err != nil {
			return err
		}
	}
	return nil
}

// fitGains fits and folds in the gains of the heads that stay.
func (g *Group) fitGains(s *scoreStat, heads []int, keep param.Keep, ridge float64) error {
	group := len(s.gram) / g.Lists
	for _, l := range heads {
		for r := range group {
			a, b, err := gains(s.gram[l*group+r], g.Units, keep[l], ridge)
			if err != nil {
				return fmt.Errorf("fit gains of %s, query head %d: %w", g, l*group+r, err)
			}
			g.turn(l, r, keep[l], a, b)
		}
	}
	return nil
}

// gains are the gains a + ib of the kept pairs; gram is [2*pairs, 2*pairs].
func gains(gram []float32, pairs int, kept []int, ridge float64) (a, b []float64, err error) {
	n := 2 * pairs
	stays := make([]bool, pairs)
	for _, j := range kept {
		stays[j] = true
	}
	cols := features(kept)
	k := len(cols)
	kk := mat.NewSymDense(k, nil)
	right := mat.NewVecDense(k, nil)
	trace := 0.0
	for i, c := range cols {
		for j := i; j < k; j++ {
			kk.SetSym(i, j, float64(gram[c*n+cols[j]]))
		}
		trace += kk.At(i, i)
		sum := 0.0
		for j := range pairs {
			if !stays[j] {
				sum += float64(gram[c*n+2*j])
			}
		}
		right.SetVec(i, sum)
	}
	x := mat.NewVecDense(k, nil)
	if lambda := ridge * trace / float64(k); lambda > 0 {
		for i := range k {
			kk.SetSym(i, i, kk.At(i, i)+lambda)
		}
		var c mat.Cholesky
		if !c.Factorize(kk) {
			return nil, nil, fmt.Errorf("%w: the Gram matrix of %d features is not positive definite: raise the ridge (%g)", ErrEvidence, k, ridge)
		}
		if err := c.SolveVecTo(x, right); err != nil {
			return nil, nil, fmt.Errorf("%w: solve for %d features: %w", ErrEvidence, k, err)
		}
	}
	for i := range kept {
		a, b = append(a, 1+x.AtVec(2*i)), append(b, x.AtVec(2*i+1))
	}
	return a, b, nil
}

// turn folds the gains of the kept pairs into query head r of list l.
func (g *Group) turn(list, r int, kept []int, a, b []float64) {
	for _, p := range g.params {
		if g.Side(p) != param.SideA {
			continue
		}
		rows := g.unitRows(p, p.Data(), list)
		for i, u := range kept {
			pair := rows[u][r] // two rows, one after the other
			w := len(pair) / 2
			for c := range w {
				x, y := float64(pair[c]), float64(pair[w+c])
				pair[c] = float32(a[i]*x - b[i]*y)
				pair[w+c] = float32(a[i]*y + b[i]*x)
			}
		}
	}
}
