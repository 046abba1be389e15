package coupled

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
	"gonum.org/v1/gonum/mat"
)

// Methods of ChangeBasis.
const (
	BasisNone    = "none"
	BasisSVD     = "svd"      // moments of the weights alone: the plain SVD of the pair's product
	BasisDataSVD = "data-svd" // moments of the activations that side A carries
)

// Bases lists the methods.
func Bases() []string { return []string{BasisNone, BasisSVD, BasisDataSVD} }

// basisRidge is added to the diagonal of both moments, relative to its mean, so
// that directions without any mass have a bounded change of basis. Moments are
// float32 sums: where one direction has nearly all the mass, as in a model that has
// hardly been trained, their rounding is above that, and the ridge grows in steps
// of ten up to basisRidgeMost. Any change of basis leaves the model's function as it is.
const (
	basisRidge     = 1e-6
	basisRidgeMost = 1e-2
)

// Spectrum is the balanced singular values of each head after a change of basis,
// falling, by dimension: Spectrum[dim][list][unit]. Cutting the last ones is the
// best approximation of the pair's product in the metric of the method.
type Spectrum map[string][][]float64

// ChangeBasis changes the basis of linear pairs, per K/V head, so that few units
// carry most of each product: VO always, QK where there is no RoPE (rotation pairs
// cannot be mixed). Weights and biases change, the function of the model does not.
//
// With side A's rows and B's rows as matrices A, B [D, E], A' = M A and B' = M^-T B leave
// A^T B as it is for any invertible M. With the moments G_a of what A carries and G_b
// of B, Cholesky factors L_a, L_b and the SVD L_a^T L_b = U S W^T, take
// M = S^(1/2) U^T L_a^-1: both sides then have the moments diag(S) (balanced
// truncation; Moore 1981, https://doi.org/10.1109/TAC.1981.1102568).
//
//	pair  method    G_a                                        G_b
//	vo    data-svd  E[c c^T] of the contexts, summed over R    sum_r W_O,r W_O,r^T
//	vo    svd       W_V W_V^T + b_V b_V^T                      the same
//	qk    data-svd  E[q q^T], summed over R                    E[k k^T] - E[k] E[k]^T: a shift of all keys changes no attention
//	qk    svd       sum_r W_Q,r W_Q,r^T + b b^T                W_K W_K^T + b_K b_K^T
//
// data-svd needs evidence with Options.Basis (for VO, Compensation does too). The
// evidence's moments are carried over into the new basis; gates and squared gradients
// seen before mean nothing in it and are forgotten for the units that changed.
// State of an optimizer is of the old basis as well: what is linear in gradients is given as
// momenta, slabs parallel to the weights, and becomes what it would have been in the new basis,
// M^-T on side A and M on side B, for that is what becomes of gradients; the rest has to start
// afresh (second moments know nothing of what lies between rows).
//
// layers are those whose basis is changed, all without any. Weights that are not float32 are
// widened a layer at a time and rounded to their type again.
func ChangeBasis(set *param.Set, e *Evidence, method string, momenta []*param.Slab, layers ...int) (Spectrum, error) {
	if method == BasisNone {
		return nil, nil
	}
	if method != BasisSVD && method != BasisDataSVD {
		return nil, fmt.Errorf("basis %q is unknown, expected one of %v", method, Bases())
	}
	if set.Weights == nil {
		return nil, fmt.Errorf("%w: change basis: the set has no weights", ErrEvidence)
	}
	spectrum := Spectrum{}
	var changes []basisChange
	for _, g := range Groups(set) {
		if !g.mixable(set) || len(layers) > 0 && !slices.Contains(layers, g.Layer) {
			continue
		}
		c, s, err := newBasis(set, e, g, method)
		if err != nil {
			return nil, err
		}
		changes, spectrum[g.Dim] = append(changes, c), s
	}
	for _, c := range changes { // nothing has been changed before all of them are known to be possible
		if err := c.carryOut(set); err != nil {
			return nil, fmt.Errorf("change basis of %s: %w", c.g, err)
		}
		for _, s := range momenta {
			c.carry(s)
		}
		if e != nil {
			e.rotate(c.g, c.a, c.b)
		}
	}
	return spectrum, nil
}

// mixable reports whether the units of a group may be mixed.
func (g *Group) mixable(set *param.Set) bool {
	return g.Kind == VO || g.Kind == QK && !set.Dim(g.Dim).Track && !g.normed
}

// Mixed are the parameters that ChangeBasis changes.
func Mixed(set *param.Set) (out []*param.Param) {
	for _, g := range Groups(set) {
		if g.mixable(set) {
			out = append(out, g.params...)
		}
	}
	return out
}

// basisChange is the new basis of a group.
type basisChange struct {
	g    Group
	a, b []*mat.Dense // M and M^-T of each list
}

// newBasis finds the new basis of a group and the singular values of its lists.
func newBasis(set *param.Set, e *Evidence, g Group, method string) (c basisChange, spectrum [][]float64, err error) {
	done := widened(set, g.params...)
	defer func() { err = errors.Join(err, done(false)) }()
	c.g = g
	for l := range g.Lists {
		ga, gb, err := moments(set, e, &g, l, method)
		if err != nil {
			return c, nil, fmt.Errorf("change basis of %s: %w", g, err)
		}
		m, inverse, s, err := balance(ga, gb)
		if err != nil {
			return c, nil, fmt.Errorf("change basis of %s, head %d: %w", g, l, err)
		}
		c.a, c.b = append(c.a, m), append(c.b, inverse)
		spectrum = append(spectrum, s)
	}
	return c, spectrum, nil
}

// carryOut changes the weights.
func (c *basisChange) carryOut(set *param.Set) error {
	done := widened(set, c.g.params...)
	for _, p := range c.g.params {
		by := c.a
		if c.g.Side(p) == param.SideB {
			by = c.b
		}
		for l, m := range by {
			c.g.mix(p, p.Data(), l, m)
		}
	}
	return done(true)
}

// carry changes what is linear in the gradients of the weights.
func (c *basisChange) carry(s *param.Slab) {
	for _, p := range c.g.params {
		by := c.b
		if c.g.Side(p) == param.SideB {
			by = c.a
		}
		for l, m := range by {
			c.g.mix(p, s.Data[p.Offset:][:p.Size()], l, m)
		}
	}
}

// balance returns M, M^-T and the singular values, falling. A side without any mass (a
// head whose weights are zero) makes a product of zero: its basis stays, its singular
// values are 0, and all of its units can be removed.
func balance(ga, gb *mat.SymDense) (m, inverse *mat.Dense, s []float64, err error) {
	n := ga.SymmetricDim()
	if mat.Trace(ga) == 0 || mat.Trace(gb) == 0 {
		same := mat.NewDense(n, n, nil)
		for i := range n {
			same.Set(i, i, 1)
		}
		return same, same, make([]float64, n), nil
	}
	la, err := factor(ga)
	if err != nil {
		return nil, nil, nil, err
	}
	lb, err := factor(gb)
	if err != nil {
		return nil, nil, nil, err
	}
	var product mat.Dense
	product.Mul(la.T(), lb)
	var svd mat.SVD
	if !svd.Factorize(&product, mat.SVDFull) {
		return nil, nil, nil, fmt.Errorf("%w: the singular values do not converge", ErrEvidence)
	}
	s = svd.Values(nil)
	var u mat.Dense
	svd.UTo(&u)
	orient(&u)
	// M = S^(1/2) U^T L_a^-1 by solving L_a^T X = U S^(1/2), M = X^T; M^-T = S^(-1/2) U^T L_a^T.
	right := mat.DenseCopyOf(&u)
	inverse = mat.NewDense(n, n, nil)
	inverse.Mul(u.T(), la.T())
	for j, x := range s {
		root := math.Sqrt(x)
		for i := range n {
			right.Set(i, j, right.At(i, j)*root)
			inverse.Set(j, i, inverse.At(j, i)/root)
		}
	}
	var x mat.Dense
	if err := x.Solve(la.T(), right); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: invert the moments: %w", ErrEvidence, err)
	}
	return mat.DenseCopyOf(x.T()), inverse, s, nil
}

// orient turns each column so that its largest entry is positive: singular vectors
// have no sign of their own, and sums in another order must not flip a unit's.
func orient(u *mat.Dense) {
	rows, columns := u.Dims()
	for j := range columns {
		largest := 0.0
		for i := range rows {
			if x := u.At(i, j); math.Abs(x) > math.Abs(largest) {
				largest = x
			}
		}
		if largest < 0 {
			for i := range rows {
				u.Set(i, j, -u.At(i, j))
			}
		}
	}
}

// factor is the lower Cholesky factor of a moment matrix with the least ridge on
// its diagonal, from basisRidge on, with which it has one.
func factor(g *mat.SymDense) (*mat.TriDense, error) {
	n := g.SymmetricDim()
	mean := mat.Trace(g) / float64(n)
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, fmt.Errorf("%w: a moment matrix has mean diagonal %g, expected above 0", ErrEvidence, mean)
	}
	r := mat.NewSymDense(n, nil)
	for ridge := basisRidge; ridge <= basisRidgeMost*(1+1e-9); ridge *= 10 {
		r.CopySym(g)
		for i := range n {
			r.SetSym(i, i, g.At(i, i)+ridge*mean)
		}
		var c mat.Cholesky
		if c.Factorize(r) {
			var l mat.TriDense
			c.LTo(&l)
			return &l, nil
		}
	}
	return nil, fmt.Errorf("%w: a moment matrix is not positive definite", ErrEvidence)
}

// moments returns G_a and G_b of one head.
func moments(set *param.Set, e *Evidence, g *Group, list int, method string) (ga, gb *mat.SymDense, err error) {
	ga, gb = mat.NewSymDense(g.Units, nil), mat.NewSymDense(g.Units, nil)
	for _, p := range g.params {
		if g.Side(p) == param.SideA {
			g.addGram(ga, p, list)
		} else {
			g.addGram(gb, p, list)
		}
	}
	if method == BasisSVD {
		return ga, gb, nil
	}
	if e == nil || e.sites[g.Layer] == nil {
		return nil, nil, fmt.Errorf("%w: no activation was gathered", ErrEvidence)
	}
	s := e.sites[g.Layer]
	m := s.ctx
	if g.Kind == QK {
		m = s.q
	}
	if m == nil || m.gram == nil || m.weight == 0 {
		return nil, nil, fmt.Errorf("%w: no second moments were gathered", ErrEvidence)
	}
	if len(m.sum) != g.Lists*s.group*g.Units {
		return nil, nil, fmt.Errorf("%w: it is of another model: %d columns, expected %d", ErrEvidence, len(m.sum), g.Lists*s.group*g.Units)
	}
	ga = mat.NewSymDense(g.Units, nil)
	for r := range s.group {
		at := (list*s.group + r) * g.Units
		addSym(ga, m.block(at, at+g.Units))
	}
	if g.Kind == QK {
		k := s.k.block(list*g.Units, (list+1)*g.Units)
		mean := s.k.mean(list*g.Units, (list+1)*g.Units)
		for i, a := range mean {
			for j, b := range mean {
				k[i*g.Units+j] -= a * b
			}
		}
		gb = mat.NewSymDense(g.Units, nil)
		addSym(gb, k)
	}
	return ga, gb, nil
}

func addSym(s *mat.SymDense, m []float64) {
	n := s.SymmetricDim()
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, s.At(i, j)+(m[i*n+j]+m[j*n+i])/2)
		}
	}
}

// addGram adds the products of the unit rows of one list of p: s_ij += <row i, row j>,
// summed over query heads. Units have one row a query head here (no rotation pairs).
func (g *Group) addGram(s *mat.SymDense, p *param.Param, list int) {
	rows := g.unitRows(p, p.Data(), list)
	for r := range rows[0] {
		s.SymRankK(s, 1, dense(rows, r))
	}
}

// unitRows are views of the rows of one list of p in data, its weights or what is parallel to
// them: [unit][query head][row length].
func (g *Group) unitRows(p *param.Param, data []float32, list int) [][][]float32 {
	rows := make([][][]float32, g.Units)
	for u := range rows {
		g.Rows(p, list, u, func(at, n int) { rows[u] = append(rows[u], data[at:at+n]) })
	}
	return rows
}

// dense copies the rows of one query head: [units, row length].
func dense(rows [][][]float32, r int) *mat.Dense {
	m := mat.NewDense(len(rows), len(rows[0][r]), nil)
	for u := range rows {
		to := m.RawRowView(u)
		for k, x := range rows[u][r] {
			to[k] = float64(x)
		}
	}
	return m
}

// mix replaces the unit rows of one list of p in data by m times them.
func (g *Group) mix(p *param.Param, data []float32, list int, m *mat.Dense) {
	rows := g.unitRows(p, data, list)
	var out mat.Dense
	for r := range rows[0] {
		out.Mul(m, dense(rows, r))
		for u := range rows {
			for k, x := range out.RawRowView(u) {
				rows[u][r][k] = float32(x)
			}
		}
	}
}

// rotate carries the moments of a group into its new basis and forgets what
// means nothing in it.
func (e *Evidence) rotate(g Group, a, b []*mat.Dense) {
	if s := e.gates[g.Dim]; s != nil {
		e.gates[g.Dim] = newGateStat(g, s.inter != nil)
	}
	if e.Squares != nil {
		clear(e.Squares.Data)
		e.gradients = 0
	}
	s := e.sites[g.Layer]
	if s == nil {
		return
	}
	each := func(m []*mat.Dense, n int) []*mat.Dense { // one a query head
		var out []*mat.Dense
		for _, x := range m {
			for range n {
				out = append(out, x)
			}
		}
		return out
	}
	if g.Kind == VO && s.ctx != nil {
		s.ctx.rotate(each(a, s.group))
	}
	if g.Kind == QK && s.q != nil {
		s.q.rotate(each(a, s.group))
	}
	if g.Kind == QK && s.k != nil {
		s.k.rotate(b)
	}
}

// rotate applies one matrix to each run of adjacent columns: h' = blockdiag(by) h.
// Without a Gram matrix the squares cannot follow and the moment starts afresh.
func (m *moment) rotate(by []*mat.Dense) {
	n, _ := by[0].Dims()
	if m.gram == nil {
		*m = *newRows(len(m.sum), m.most)
		return
	}
	var sum mat.VecDense
	for i, x := range by {
		v := mat.NewVecDense(n, m.sum[i*n:(i+1)*n])
		sum.MulVec(x, v)
		v.CopyVec(&sum)
		sum.Reset()
	}
	for b, g := range m.gram {
		w := m.at[b+1] - m.at[b]
		first := m.at[b] / n
		for i := 0; i < w/n; i++ {
			for j := 0; j < w/n; j++ {
				part := mat.NewDense(n, n, nil)
				for r := range n {
					for c := range n {
						part.Set(r, c, float64(g[(i*n+r)*w+j*n+c]))
					}
				}
				var left, both mat.Dense
				left.Mul(by[first+i], part)
				both.Mul(&left, by[first+j].T())
				for r := range n {
					for c := range n {
						g[(i*n+r)*w+j*n+c] = float32(both.At(r, c))
					}
					if i == j {
						m.square[m.at[b]+i*n+r] = both.At(r, r)
					}
				}
			}
		}
	}
}
