package coupled

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// byAttention orders the rotation pairs of one K/V head by what their removal does
// to the attention scores, gains refitted (see FitGains): grams are the feature
// matrices G [2*pairs, 2*pairs] of its query heads. With the kept features k, the
// target's products g = G 1 (ones at even features) and coefficients beta = G_kk^-1 g_k,
// dropping pair j raises the squared error of the scores by
//
//	beta_j^T ((G_kk^-1)_jj)^-1 beta_j        (2x2 blocks)
//
// (Hassibi and Stork's optimal brain surgeon for least squares), summed over the query
// heads; each turn drops the pair that raises it least.
func byAttention(grams [][]float32, pairs int, ridge float64) ([]int, error) {
	n := 2 * pairs
	inverse := make([]*mat.SymDense, len(grams)) // G_kk^-1, rows of dropped features zero
	beta := make([][]float64, len(grams))
	for h, g := range grams {
		m := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				m.SetSym(i, j, float64(g[i*n+j]))
			}
		}
		lambda := ridge * mat.Trace(m) / float64(n)
		if !(lambda > 0) {
			return nil, fmt.Errorf("%w: the features of attention scores are zero", ErrEvidence)
		}
		for i := range n {
			m.SetSym(i, i, m.At(i, i)+lambda)
		}
		var c mat.Cholesky
		if !c.Factorize(m) {
			return nil, fmt.Errorf("%w: the features' Gram matrix is not positive definite", ErrEvidence)
		}
		inverse[h] = mat.NewSymDense(n, nil)
		if err := c.InverseTo(inverse[h]); err != nil {
			return nil, fmt.Errorf("%w: invert the features' Gram matrix: %w", ErrEvidence, err)
		}
		beta[h] = make([]float64, n) // the whole model's gains, 1
		for j := range pairs {
			beta[h][2*j] = 1
		}
	}
	var order []int
	gone := make([]bool, pairs)
	for range pairs {
		best, least := -1, 0.0
		for j := pairs - 1; j >= 0; j-- {
			if gone[j] {
				continue
			}
			cost := 0.0
			for h := range grams {
				x, y := solve2(inverse[h], j, beta[h][2*j], beta[h][2*j+1])
				cost += beta[h][2*j]*x + beta[h][2*j+1]*y
			}
			if best < 0 || cost < least {
				best, least = j, cost
			}
		}
		gone[best] = true
		order = append(order, best)
		for h := range grams {
			drop(inverse[h], beta[h], best)
		}
	}
	return order, nil
}

// solve2 is the inverse of the 2x2 diagonal block of pair j times (x, y).
func solve2(m *mat.SymDense, j int, x, y float64) (float64, float64) {
	a, b, c := m.At(2*j, 2*j), m.At(2*j, 2*j+1), m.At(2*j+1, 2*j+1)
	d := a*c - b*b
	return (c*x - b*y) / d, (a*y - b*x) / d
}

// drop takes pair j out of the inverse and the coefficients.
func drop(m *mat.SymDense, beta []float64, j int) {
	n := m.SymmetricDim()
	p, q := make([]float64, n), make([]float64, n) // columns of the pair
	u, v := make([]float64, n), make([]float64, n) // times the block's inverse
	for i := range n {
		p[i], q[i] = m.At(i, 2*j), m.At(i, 2*j+1)
	}
	for i := range n {
		u[i], v[i] = solve2(m, j, p[i], q[i])
	}
	x, y := beta[2*j], beta[2*j+1]
	for i := range n {
		beta[i] -= u[i]*x + v[i]*y
	}
	for i := range n {
		for k := i; k < n; k++ {
			m.SetSym(i, k, m.At(i, k)-u[i]*p[k]-v[i]*q[k])
		}
	}
}
