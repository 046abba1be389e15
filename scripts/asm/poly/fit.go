// Package poly has the polynomials that the vector kernels of every instruction set are
// made of.
package poly

import "math"

// fit returns the coefficients, lowest first, of the polynomial of a degree that
// comes closest to f on [lo, hi], in the sense that the largest weighted error
// |weight·(f - p)| is smallest. It is the exchange algorithm of E. Remez (1934).
func fit(degree int, lo, hi float64, f, weight func(x float64) float64) []float64 {
	n := degree + 2
	at := make([]float64, n)
	for i := range at { // Chebyshev's nodes to begin with
		at[i] = (lo+hi)/2 - (hi-lo)/2*math.Cos(math.Pi*float64(i)/float64(n-1))
	}
	var p []float64
	for range 30 {
		p = levelled(at, f, weight)
		at = extremes(n, lo, hi, func(x float64) float64 { return weight(x) * (f(x) - poly(p, x)) })
	}
	return p
}

// levelled solves for the polynomial whose weighted error has one size and
// alternating signs at the given points.
func levelled(at []float64, f, weight func(x float64) float64) []float64 {
	n := len(at)
	m := make([][]float64, n)
	for i, x := range at {
		m[i] = make([]float64, n+1)
		v := 1.0
		for j := range n - 1 {
			m[i][j] = v
			v *= x
		}
		m[i][n-1] = (1 - 2*float64(i%2)) / weight(x)
		m[i][n] = f(x)
	}
	for i := range n { // Gauss-Jordan
		top := i
		for r := i; r < n; r++ {
			if math.Abs(m[r][i]) > math.Abs(m[top][i]) {
				top = r
			}
		}
		m[i], m[top] = m[top], m[i]
		for r := range n {
			if r == i {
				continue
			}
			k := m[r][i] / m[i][i]
			for c := i; c <= n; c++ {
				m[r][c] -= k * m[i][c]
			}
		}
	}
	p := make([]float64, n-1)
	for i := range p {
		p[i] = m[i][n] / m[i][i]
	}
	return p
}

// extremes finds n points of alternating sign where |err| is largest.
func extremes(n int, lo, hi float64, err func(x float64) float64) []float64 {
	const grid = 20000
	var at []float64
	var best float64
	for i := range grid + 1 {
		x := lo + (hi-lo)*float64(i)/grid
		e := err(x)
		if len(at) == 0 || (e > 0) != (best > 0) {
			at, best = append(at, x), e
		} else if math.Abs(e) > math.Abs(best) {
			at[len(at)-1], best = x, e
		}
	}
	for len(at) > n { // drop the smaller end
		if math.Abs(err(at[0])) < math.Abs(err(at[len(at)-1])) {
			at = at[1:]
		} else {
			at = at[:len(at)-1]
		}
	}
	for len(at) < n { // rounding has hidden some: any points will do
		at = append(at, hi-(hi-lo)*float64(n-len(at))/grid)
	}
	return at
}

func poly(p []float64, x float64) (y float64) {
	for i := len(p) - 1; i >= 0; i-- {
		y = y*x + p[i]
	}
	return y
}
