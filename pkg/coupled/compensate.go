package coupled

import (
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
	"gonum.org/v1/gonum/mat"
)

// Methods of Compensate.
const (
	CompensateNone = "none"
	CompensateBias = "bias" // the mean of what goes moves into the consumer's bias
	CompensateLSQ  = "lsq"  // least squares over the kept rows, and the bias where there is one
)

// Compensations lists the methods.
func Compensations() []string { return []string{CompensateNone, CompensateBias, CompensateLSQ} }

// DefaultRidge is the ridge of Compensate and FitGains, relative to the mean
// diagonal of the Gram matrix. From 1e-5 to 1e-2 it makes no difference.
const DefaultRidge = 1e-3

// Compensate refits the matrices that consume the units a cut removes, W_O and
// W_out (or W_down), on the activations seen, so that the kept units do as much as
// they can of the work of those that go. It changes kept rows (and the bias) in place
// and is to be called before the cut is carried out on weights and evidence.
//
// With H the activations of all units (for W_O those of all heads of the layer
// together), C = E[H^T H], kept k and cut p,
//
//	B_k += (C_kk + lambda I)^-1 C_kp B_p,    lambda = ridge * mean of the diagonal of C_kk
//
// is least squares with a ridge towards what B_k was. Where the consumer has a
// bias C is centred, which is a column of ones
// without a ridge, and bias += mean_p^T B_p - mean_k^T (change of B_k).
// bias alone needs that bias: it is an error for a model without. Needs evidence with
// Options.Compensation. ridge 0 is DefaultRidge.
func Compensate(set *param.Set, e *Evidence, cut param.Cut, method string, ridge float64) error {
	if method == CompensateNone {
		return nil
	}
	if method != CompensateBias && method != CompensateLSQ {
		return fmt.Errorf("compensation %q is unknown, expected one of %v", method, Compensations())
	}
	if ridge == 0 {
		ridge = DefaultRidge
	}
	if !(ridge > 0 && ridge < 1e6) {
		return fmt.Errorf("ridge is %g, expected above 0", ridge)
	}
	if err := set.Check(cut); err != nil {
		return err
	}
	var fits []*fit
	for _, g := range Groups(set) {
		if g.Kind != VO && g.Kind != FFN {
			continue
		}
		f, err := newFit(set, e, &g, cut, method)
		if err != nil {
			return fmt.Errorf("compensate %s: %w", g, err)
		}
		if f != nil {
			fits = append(fits, f)
		}
	}
	for _, f := range fits { // nothing has been changed before all of them are known to be possible
		done := widened(set, f.consumer)
		err := f.run(method, ridge)
		if err = errors.Join(err, done(err == nil)); err != nil {
			return err
		}
	}
	return nil
}

// fit is one consumer to be refitted.
type fit struct {
	group      Group
	consumer   *param.Param // [columns of the moment, width]
	offset     *param.Param // its bias; nil without
	width      int
	rows, bias []float32 // of both, while run changes them
	pool       *kernel.Pool
	moment     *moment
	kept, gone []int // columns
}

// newFit finds the consumer of a group and what the cut does to it; nil when it does nothing.
func newFit(set *param.Set, e *Evidence, g *Group, cut param.Cut, method string) (*fit, error) {
	_, units := cut[g.Dim]
	heads, headCut := cut[g.Per]
	if !units && (!headCut || g.Per == "") {
		return nil, nil
	}
	f, err := newReader(set, e, g, method)
	if err != nil {
		return nil, err
	}
	n := len(f.moment.sum)
	stays := make([]bool, n)
	lists := upTo(g.Lists)
	if headCut && g.Per != "" {
		lists = heads[0]
	}
	for _, l := range lists {
		kept := upTo(g.Units)
		if units {
			kept = cut[g.Dim][l]
		}
		for _, u := range kept {
			g.Rows(f.consumer, l, u, func(at, n int) { stays[at/f.width] = true })
		}
	}
	for i, s := range stays {
		if s {
			f.kept = append(f.kept, i)
		} else {
			f.gone = append(f.gone, i)
		}
	}
	if len(f.gone) == 0 {
		return nil, nil
	}
	return f, nil
}

// newReader finds the consumer of a group and the moments of what it reads.
func newReader(set *param.Set, e *Evidence, g *Group, method string) (*fit, error) {
	f := &fit{group: *g, pool: e.pool()}
	var consumer *param.Param
	for _, p := range g.params {
		if g.Side(p) == param.SideB {
			consumer = p
		}
	}
	if consumer == nil {
		return nil, fmt.Errorf("%w: nothing consumes the units of %s", ErrEvidence, g)
	}
	f.consumer, f.width = consumer, consumer.Dims[len(consumer.Dims)-1].Size
	if f.offset = set.LayerParam(g.Layer, consumer.Role.Bias()); f.offset == nil && method == CompensateBias {
		return nil, fmt.Errorf("%s has no bias: use lsq", consumer.Name)
	}
	if e == nil || e.sites[g.Layer] == nil {
		return nil, fmt.Errorf("%w: no activation was gathered", ErrEvidence)
	}
	s := e.sites[g.Layer]
	f.moment = s.ctx
	if g.Kind == FFN {
		f.moment = s.ffn
	}
	n := consumer.Size() / f.width
	if f.moment == nil || f.moment.weight == 0 || len(f.moment.sum) != n ||
		method == CompensateLSQ && len(f.moment.gram) != 1 && f.moment.most == 0 {
		return nil, fmt.Errorf("%w: no second moments of %d columns were gathered", ErrEvidence, n)
	}
	return f, nil
}

// run changes the kept rows and the bias.
func (f *fit) run(method string, ridge float64) error {
	if f.rows = f.consumer.Data(); f.offset != nil {
		f.bias = f.offset.Data()
	}
	mean := f.moment.mean(0, len(f.moment.sum))
	if method == CompensateLSQ {
		solve := f.solve
		switch {
		case f.moment.most > 0:
			solve = f.solveRows
		case f.pool != nil && len(f.kept) >= fastRefit:
			solve = f.solveFast
		}
		change, err := solve(mean, ridge)
		if err != nil {
			return fmt.Errorf("compensate %s: %w", f.group, err)
		}
		if f.bias != nil {
			f.shift(mean, f.kept, -1, change)
		}
		for i, r := range f.kept {
			for j := range f.width {
				f.rows[r*f.width+j] += float32(change(i, j))
			}
		}
	}
	if f.bias != nil {
		f.shift(mean, f.gone, 1, func(i, j int) float64 { return float64(f.rows[f.gone[i]*f.width+j]) })
	}
	return nil
}

// shift adds sign times the mean of some columns times rows to the bias.
func (f *fit) shift(mean []float64, cols []int, sign float64, rows func(i, j int) float64) {
	for j := range f.bias {
		sum := 0.0
		for i, c := range cols {
			sum += mean[c] * rows(i, j)
		}
		f.bias[j] += float32(sign * sum)
	}
}

// covariance is C of two columns, centred where the consumer has a bias.
func (f *fit) covariance(mean []float64, i, j int) float64 {
	c := float64(f.moment.gram[0][i*len(mean)+j]) / f.moment.weight
	if f.bias != nil {
		c -= mean[i] * mean[j]
	}
	return c
}

// solve is (C_kk + lambda I)^-1 C_kp B_p.
func (f *fit) solve(mean []float64, ridge float64) (change func(i, j int) float64, err error) {
	at := func(i, j int) float64 { return f.covariance(mean, i, j) }
	gone := mat.NewDense(len(f.gone), f.width, nil) // B_p
	for i, r := range f.gone {
		for j := range f.width {
			gone.Set(i, j, float64(f.rows[r*f.width+j]))
		}
	}
	k := len(f.kept)
	kk := mat.NewSymDense(k, nil)
	kp := mat.NewDense(k, len(f.gone), nil)
	trace := 0.0
	for a, i := range f.kept {
		for b := a; b < k; b++ {
			kk.SetSym(a, b, at(i, f.kept[b]))
		}
		for b, j := range f.gone {
			kp.Set(a, b, at(i, j))
		}
		trace += kk.At(a, a)
	}
	lambda := ridge * trace / float64(k)
	if !(lambda > 0) || math.IsInf(lambda, 0) {
		return noChange, nil // the kept units were never active: they cannot help
	}
	for a := range k {
		kk.SetSym(a, a, kk.At(a, a)+lambda)
	}
	var right, x mat.Dense
	right.Mul(kp, gone)
	var c mat.Cholesky
	if !c.Factorize(kk) {
		return nil, fmt.Errorf("%w: the Gram matrix of %d kept columns is not positive definite: raise the ridge (%g)", ErrEvidence, k, ridge)
	}
	if err := c.SolveTo(&x, &right); err != nil {
		return nil, fmt.Errorf("%w: solve for %d kept columns: %w", ErrEvidence, k, err)
	}
	return x.At, nil
}

func noChange(int, int) float64 { return 0 }
