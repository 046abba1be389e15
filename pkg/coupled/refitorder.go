package coupled

import (
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

const (
	// eliminateBelow is the number of channels from which on each is judged only once, beside
	// all others.
	eliminateBelow = 4096
	// seenPerChannel is the tokens a channel that second moments must be from.
	seenPerChannel = 2
	// eliminationSteps is how many channels are removed between two updates of the matrices.
	eliminationSteps = 64
)

// OrderByRefit finds the order in which the feed-forward channels of every layer that moments
// has second moments of (Options.Compensation) are to be removed so that a refit of those that
// stay (Compensate with lsq and this ridge) makes up for as much as it can, and keeps it for
// plans with Config.FFNOrder refit. The moments are of the model as it is now.
//
// With A = C + lambda I of Compensate over all channels, P the inverse of A without what has
// been removed so far, and b_j the row of the consumer as refitted so far, removing channel j
// raises the squared error of the layer's output (with the ridge's part) by
//
//	|b_j|^2 / P_jj
//
// (Hassibi and Stork's optimal brain surgeon, for all outputs together); each turn removes
// the channel that raises it least. From 4096 channels on that is computed once, beside all
// others, and not again after each. Layers whose moments are from fewer than two tokens a
// channel, or whose channels are all zero, stay ordered by score. ridge 0 is DefaultRidge.
func (e *Evidence) OrderByRefit(set *param.Set, moments *Evidence, ridge float64) error {
	if ridge == 0 {
		ridge = DefaultRidge
	}
	for _, g := range Groups(set) {
		if g.Kind != FFN || moments.sites[g.Layer] == nil {
			continue
		}
		f, err := newReader(set, moments, &g, CompensateLSQ)
		if err != nil {
			return fmt.Errorf("order the units of %s: %w", g, err)
		}
		done := widened(set, f.consumer)
		if f.rows = f.consumer.Data(); f.offset != nil {
			f.bias = f.offset.Data()
		}
		order, err := f.removalOrder(ridge)
		if err = errors.Join(err, done(false)); err != nil {
			return fmt.Errorf("order the units of %s: %w", g, err)
		}
		if e.refits == nil {
			e.refits = map[string][]int{}
		}
		e.refits[g.Dim] = order
	}
	return nil
}

// OrderByScore keeps the feed-forward channels of a layer in the order of their scores, for
// plans with Config.FFNOrder refit.
func (e *Evidence) OrderByScore(layer int) {
	if e.refits == nil {
		e.refits = map[string][]int{}
	}
	e.refits[param.InLayer(layer, "ffn")] = []int{}
}

// OrderedByRefit reports whether OrderByRefit or OrderByScore has seen a layer.
func (e *Evidence) OrderedByRefit(layer int) bool {
	return e.refits[param.InLayer(layer, "ffn")] != nil
}

// TokensToOrder is how many tokens OrderByRefit's second moments of n channels must be from.
func TokensToOrder(n int) int { return seenPerChannel * n }

// refitOrder is what OrderByRefit kept of a group, empty where its units go by score.
func (e *Evidence) refitOrder(g Group) ([]int, error) {
	if e == nil || e.refits[g.Dim] == nil || len(e.refits[g.Dim]) != 0 && len(e.refits[g.Dim]) != g.Units {
		return nil, fmt.Errorf("%w: the order by refit of %s was not found", ErrEvidence, g)
	}
	return e.refits[g.Dim], nil
}

// OrderFLOPs is the operations of ordering n channels of a consumer of so many columns.
func OrderFLOPs(n, width int) int64 {
	cube := int64(n) * int64(n) * int64(n)
	if n >= eliminateBelow {
		return cube/3 + cube/3
	}
	return cube/3 + 2*cube/3 + 2*cube + 2*int64(n)*int64(n)*int64(width)
}

// OrderBytes is the memory that ordering n channels takes beside their moments.
func OrderBytes(n int) int64 {
	matrices := int64(3)
	if n >= eliminateBelow {
		matrices = 1
	}
	return 4 * (matrices*int64(n)*int64(n) + 2*spdBlock*int64(n))
}

// removalOrder orders the columns of the moment; it is empty where they stay as they are.
func (f *fit) removalOrder(ridge float64) ([]int, error) {
	n := len(f.moment.sum)
	if f.moment.weight < float64(TokensToOrder(n)) {
		return []int{}, nil
	}
	mean := f.moment.mean(0, n)
	trace := 0.0
	for i := range n {
		trace += f.covariance(mean, i, i)
	}
	if !(trace > 0) || math.IsInf(trace, 0) {
		return []int{}, nil
	}
	pool := f.pool
	if pool == nil {
		pool = kernel.NewPool(1)
		defer pool.Close()
	}
	s := spd{pool: pool, a: make([]float32, n*n), n: n}
	diagonal := make([]float64, n)
	for ok := false; !ok; ridge *= 10 { // a matrix with a ridge of 1 is positive definite
		if ridge > 10 {
			return nil, fmt.Errorf("%w: the Gram matrix of %d columns is not positive definite", ErrEvidence, n)
		}
		for i := range n {
			for j := range i + 1 {
				s.a[i*n+j] = float32(f.covariance(mean, i, j))
			}
			s.a[i*n+i] += float32(ridge * trace / float64(n))
			diagonal[i] = float64(s.a[i*n+i])
		}
		s.inverse = nil
		ok = s.factorize()
	}
	if n >= eliminateBelow {
		return f.orderOnce(s.inverseDiagonal()), nil
	}
	x := elimination{pool: pool, units: upTo(n), least: diagonal}
	x.p = s.invert()
	x.s = s.a // not needed any more
	rows := kernel.Mat(f.rows, n, f.width)
	kernel.MatMul(pool, kernel.Mat(x.s, n, n), rows, rows, kernel.Product{TransB: true})
	return x.order(), nil
}

// orderOnce orders channels by |b_j|^2 / P_jj beside all others.
func (f *fit) orderOnce(inverse []float64) []int {
	cost := make([]float64, len(inverse))
	for j, p := range inverse {
		for _, b := range f.rows[j*f.width : (j+1)*f.width] {
			cost[j] += float64(b) * float64(b)
		}
		cost[j] /= p
	}
	return byScore(cost).units
}

// elimination removes channels one after the other. Removing j turns, of the m channels that
// are left, P into P - l l^T with l = P_j / sqrt(P_jj), and B into B - l y^T with
// y = b_j / sqrt(P_jj); of B only S = B B^T is kept, which becomes S + l w^T + w l^T with
// w = |y|^2 l / 2 - S_j / sqrt(P_jj). The matrices take the steps of a panel together, as
// products; a column that is needed before takes them by itself.
type elimination struct {
	pool  *kernel.Pool
	units []int     // of the rows
	p, s  []float32 // P and S before the panel, [m, m]
	d, c  []float64 // their diagonals now
	least []float64 // 1/P_jj is never above A_jj
	gone  []bool
	l, w  []float32 // of the panel's steps, [eliminationSteps, m]
}

// order removes all channels.
func (x *elimination) order() []int {
	var out []int
	for m := len(x.units); m > 0; m = len(x.units) {
		x.begin(m)
		steps := min(eliminationSteps, m)
		for t := range steps {
			j := x.cheapest()
			x.remove(t, j)
			out = append(out, x.units[j])
		}
		x.end(steps)
	}
	return out
}

// begin starts a panel on m channels.
func (x *elimination) begin(m int) {
	if x.l == nil {
		x.l, x.w, x.d, x.c = make([]float32, eliminationSteps*m), make([]float32, eliminationSteps*m), make([]float64, m), make([]float64, m)
	}
	x.gone, x.d, x.c = make([]bool, m), x.d[:m], x.c[:m]
	for j := range m {
		x.d[j], x.c[j] = max(float64(x.p[j*m+j]), 1/x.least[j]), max(0, float64(x.s[j*m+j]))
	}
}

// cheapest is the row that costs least; of equals the last.
func (x *elimination) cheapest() int {
	best, least := -1, 0.0
	for j := len(x.units) - 1; j >= 0; j-- {
		if cost := x.c[j] / x.d[j]; !x.gone[j] && (best < 0 || cost < least) {
			best, least = j, cost
		}
	}
	return best
}

// remove is step t of a panel.
func (x *elimination) remove(t, j int) {
	m := len(x.units)
	l, w := x.l[t*m:][:m], x.w[t*m:][:m]
	copy(l, x.p[j*m:][:m])
	copy(w, x.s[j*m:][:m])
	for s := range t {
		ls, ws := x.l[s*m:][:m], x.w[s*m:][:m]
		lj, wj := ls[j], ws[j]
		for i, a := range ls {
			l[i] -= a * lj
			w[i] += a*wj + ws[i]*lj
		}
	}
	root, half := float32(math.Sqrt(x.d[j])), float32(x.c[j]/x.d[j]/2)
	for i := range l {
		l[i] /= root
		w[i] = half*l[i] - w[i]/root
		x.d[i] = max(x.d[i]-float64(l[i])*float64(l[i]), 1/x.least[i])
		x.c[i] = max(0, x.c[i]+2*float64(l[i])*float64(w[i]))
	}
	x.gone[j] = true
}

// end brings the matrices up to date and leaves the channels that are gone out of them.
func (x *elimination) end(steps int) {
	m := len(x.units)
	l, w := kernel.Mat(x.l[:steps*m], steps, m), kernel.Mat(x.w[:steps*m], steps, m)
	by := kernel.Product{TransA: true, Accumulate: true}
	s := kernel.Mat(x.s[:m*m], m, m)
	kernel.MatMul(x.pool, s, l, w, by)
	kernel.MatMul(x.pool, s, w, l, by)
	for i, a := range l.Data {
		w.Data[i] = -a
	}
	kernel.MatMul(x.pool, kernel.Mat(x.p[:m*m], m, m), l, w, by)
	var left []int
	for j, gone := range x.gone {
		if !gone {
			left = append(left, j)
		}
	}
	for i, from := range left { // rows move up: what is overwritten has been read
		x.units[i], x.least[i] = x.units[from], x.least[from]
		for j, c := range left {
			x.p[i*len(left)+j], x.s[i*len(left)+j] = x.p[from*m+c], x.s[from*m+c]
		}
	}
	x.units = x.units[:len(left)]
}
