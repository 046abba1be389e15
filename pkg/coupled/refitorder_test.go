package coupled

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
	"gonum.org/v1/gonum/mat"
)

// observed is a set and second moments of rows of hidden activations of its first layer.
func (z sizes) observed(t *testing.T, rows int) (*param.Set, *Evidence, []float32) {
	t.Helper()
	s := z.set(t)
	e := NewEvidence(s, Options{Compensation: true, Layers: []int{0}})
	x := hidden(rows, z.ffn, 1)
	if err := e.Observe("layer.0.hidden", x, 1, rows); err != nil {
		t.Fatal(err)
	}
	return s, e, x
}

// TestRefitOrderTakesTheLeast: every turn removes the channel whose loss, with all that stay and
// the bias refitted afresh by Compensate, raises the error on the rows seen least.
func TestRefitOrderTakesTheLeast(t *testing.T) {
	const ridge = 1e-6
	for name, z := range map[string]sizes{"gpt": gpt, "llama": small} {
		set, e, x := z.observed(t, 200)
		if err := e.OrderByRefit(set, e, ridge); err != nil {
			t.Fatal(err)
		}
		order := e.refits["layer.0.ffn"]
		if len(order) != z.ffn || !e.OrderedByRefit(0) || e.OrderedByRefit(1) {
			t.Fatalf("%s: order %v", name, order)
		}
		consumer := "layer.0.down"
		if !z.gated {
			consumer = "layer.0.out"
		}
		dense := slices.Clone(set.Param(consumer).Data())
		errorOf := func(kept []int) float64 {
			s := z.set(t)
			if err := Compensate(s, e, param.Cut{"layer.0.ffn": {kept}}, CompensateLSQ, ridge); err != nil {
				t.Fatal(err)
			}
			var b0, b1 []float32
			if z.bias {
				b0, b1 = set.Param(consumer+"_bias").Data(), s.Param(consumer+"_bias").Data()
			}
			return consumerError(x, dense, s.Param(consumer).Data(), b0, b1, kept, z.embed)
		}
		left := upTo(z.ffn)
		for turn, got := range order[:z.ffn-1] {
			without := func(j int) []int {
				return slices.DeleteFunc(slices.Clone(left), func(u int) bool { return u == j })
			}
			best, least, mine := -1, math.Inf(1), 0.0
			for _, j := range left {
				x := errorOf(without(j))
				if x < least {
					best, least = j, x
				}
				if j == got {
					mine = x
				}
			}
			if mine > least*(1+1e-3) {
				t.Errorf("%s turn %d removes channel %d, an error of %g; expected %d, %g", name, turn, got, mine, best, least)
			}
			left = without(got)
		}
	}
}

// TestRefitOrderOfManyChannels: removed in panels, with float32 matrices, each channel costs as
// little as the cheapest by an elimination in float64, one at a time.
func TestRefitOrderOfManyChannels(t *testing.T) {
	const n, width = 2*eliminationSteps + 23, 9
	m := newMoment(n, 1)
	m.add(hidden(4*n, n, 2), 4*n, n, addProduct)
	rng := rand.New(rand.NewPCG(8, 8))
	f := &fit{moment: m, width: width, rows: make([]float32, n*width)}
	for i := range f.rows {
		f.rows[i] = float32(rng.NormFloat64() * float64(1+i/width%4))
	}
	order, err := f.removalOrder(1e-3)
	if err != nil || len(order) != n {
		t.Fatal(len(order), err)
	}
	a, trace, mean := mat.NewSymDense(n, nil), 0.0, m.mean(0, n)
	for i := range n {
		trace += f.covariance(mean, i, i)
	}
	for i := range n {
		for j := range i + 1 {
			a.SetSym(i, j, f.covariance(mean, i, j))
		}
		a.SetSym(i, i, a.At(i, i)+1e-3*trace/n)
	}
	var c mat.Cholesky
	var p mat.SymDense
	if !c.Factorize(a) || c.InverseTo(&p) != nil {
		t.Fatal("the reference does not invert")
	}
	b := mat.NewDense(n, width, nil)
	for i, v := range f.rows {
		b.Set(i/width, i%width, float64(v))
	}
	gone := make([]bool, n)
	for turn, got := range order {
		cost := func(j int) float64 { return mat.Dot(b.RowView(j), b.RowView(j)) / p.At(j, j) }
		least := math.Inf(1)
		for j := range n {
			if !gone[j] {
				least = min(least, cost(j))
			}
		}
		if x := cost(got); gone[got] || x > least*(1+2e-3) {
			t.Fatalf("turn %d removes channel %d at a cost of %g, the least is %g", turn, got, x, least)
		}
		gone[got] = true
		column, row := mat.NewVecDense(n, nil), mat.VecDenseCopyOf(b.RowView(got))
		for i := range n {
			column.SetVec(i, p.At(i, got))
		}
		d := p.At(got, got)
		b.RankOne(b, -1/d, column, row)
		p.SymRankOne(&p, -1/d, column)
	}
}

// TestSPDInverse: the inverse and its diagonal are those of float64, for sizes around the block's.
func TestSPDInverse(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{1, 7, spdBlock, spdBlock + 1, 2*spdBlock + 40} {
		m, low := randomSPD(n, 2*n+10, 1e-2)
		var c mat.Cholesky
		var want mat.SymDense
		if !c.Factorize(m) || c.InverseTo(&want) != nil {
			t.Fatal("the reference does not invert")
		}
		s := spd{pool: pool, a: low, n: n}
		if !s.factorize() {
			t.Fatalf("%d: not positive definite", n)
		}
		most := mat.Max(&want)
		got, diagonal := s.invert(), s.inverseDiagonal()
		for i := range n {
			if w := want.At(i, i); math.Abs(diagonal[i]-w) > 2e-3*w {
				t.Errorf("%d: diagonal %d is %g, expected %g", n, i, diagonal[i], w)
			}
			for j := range n {
				if math.Abs(float64(got[i*n+j])-want.At(i, j)) > 2e-3*most {
					t.Fatalf("%d: inverse at %d, %d is %g, expected %g", n, i, j, got[i*n+j], want.At(i, j))
				}
			}
		}
	}
}

// TestPlanByRefit: plans remove channels in the order by refit where they are refitted, and by
// score where they are not or where too little was seen; without the order there is no plan.
func TestPlanByRefit(t *testing.T) {
	set, moments, _ := small.observed(t, 200)
	few := NewEvidence(set, Options{Compensation: true, Layers: []int{0}})
	if err := few.Observe("layer.0.hidden", hidden(2*small.ffn-1, small.ffn, 1), 1, 2*small.ffn-1); err != nil {
		t.Fatal(err)
	}
	cut := func(order, compensate string, e *Evidence) (string, error) {
		plan, err := MakePlan(Request{
			Set: set, Evidence: e, Budget: Budget{Units: map[Kind]int{FFN: 3*small.ffn - 5}}, Improve: Improve{Compensate: compensate},
			Config: configOf(func(c *Config) {
				c.FFNOrder, c.Ratio, c.SkipLayers = order, map[Kind]float64{FFN: 0.5}, []int{1, 2}
			}),
		})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(plan.Cut()), nil
	}
	e := seen(t, set, Options{}, 3, 1)
	if _, err := cut(OrderRefit, CompensateLSQ, e); !errors.Is(err, ErrEvidence) {
		t.Errorf("a plan without the order: %v", err)
	}
	byScore, err := cut(OrderScore, CompensateLSQ, e)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.OrderByRefit(set, moments, 0); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(e.refits["layer.0.ffn"][5:])
	slices.Sort(want)
	if got, err := cut(OrderRefit, CompensateLSQ, e); err != nil || got != fmt.Sprint(param.Cut{"layer.0.ffn": {want}}) || got == byScore {
		t.Errorf("cut is %s (%v), expected channels %v; by score %s", got, err, want, byScore)
	}
	if got, err := cut(OrderRefit, CompensateNone, e); err != nil || got != byScore {
		t.Errorf("without a refit %s is cut (%v), by score %s", got, err, byScore)
	}
	if err := e.OrderByRefit(set, few, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := cut(OrderRefit, CompensateLSQ, e); err != nil || got != byScore {
		t.Errorf("with few tokens %s is cut (%v), by score %s", got, err, byScore)
	}
	if err := e.Shrink(param.Cut{"layer.0.ffn": {want}}); err != nil || e.OrderedByRefit(0) {
		t.Errorf("the order outlives a cut (%v)", err)
	}
}
