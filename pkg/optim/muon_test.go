package optim

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// TestOrthogonalize: singular values come near one, whatever they were, and singular
// vectors stay: X·Xᵀ on the smaller side has eigenvalues within 0.4 to 1.7 (the coefficients
// do not converge, by intent), and XᵀY is symmetric where Y is what became of X.
func TestOrthogonalize(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, shape := range [][2]int{{8, 32}, {32, 8}, {16, 16}} {
		rows, cols := shape[0], shape[1]
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		y := append([]float32(nil), x...)
		orthogonalize(pool, y, rows, cols)
		sum := 0.0
		for _, v := range y {
			sum += float64(v) * float64(v)
		}
		if n := float64(min(rows, cols)); sum < 0.4*n || sum > 1.5*n {
			t.Errorf("%v: squared singular values sum to %g, expected about %g", shape, sum, n)
		}
		for i := range cols {
			for j := range i {
				a, b := 0.0, 0.0
				for k := range rows {
					a += float64(x[k*cols+i]) * float64(y[k*cols+j])
					b += float64(x[k*cols+j]) * float64(y[k*cols+i])
				}
				if math.Abs(a-b) > 1e-2*math.Sqrt(float64(rows)) {
					t.Fatalf("%v: Xᵀ·Y is %g at %d, %d and %g at %d, %d: the singular vectors changed", shape, a, i, j, b, j, i)
				}
			}
		}
	}
}

// TestMuonHeads: a parameter of heads is as many matrices; others are one.
func TestMuonHeads(t *testing.T) {
	b := newBench(t)
	for name, want := range map[string][2]int{"q": {3, 7}, "k": {3, 7}, "up": {10, 7}} {
		if rows, cols := heads(b.set.Param(name)); rows != want[0] || cols != want[1] {
			t.Errorf("%s has matrices of %d x %d, expected %v", name, rows, cols, want)
		}
	}
	o := New(b.set, config("muon"))
	defer Close(o)
	if got := o.Slabs()[1].Layout.Count(); got != 11*7+7 {
		t.Errorf("%d second moments", got)
	}
	// The size of a step does not depend on that of the gradients.
	before := append([]float32(nil), b.set.Param("up").Data()...)
	u := b.draw(0.01)
	o.Update(u)
	sum := 0.0
	for i, w := range b.set.Param("up").Data() {
		d := float64(w) - float64(before[i])*(1-0.01*0.1)
		sum += d * d
	}
	rms := math.Sqrt(sum / 70)
	if want := 0.01 * 0.2 * math.Sqrt(10) / math.Sqrt(10); rms < 0.5*want || rms > 1.5*want {
		t.Errorf("a step of %g root mean square, expected about %g", rms, want)
	}
}

func TestWSD(t *testing.T) {
	c := Config{LR: 1, MinLR: 0.1, WarmUp: Steps(10), Schedule: "wsd"}
	for step, want := range map[int]float64{5: 0.5, 11: 1, 90: 1, 95: 0.1 + 0.9*(1-math.Sqrt(0.25)), 110: 0.1} {
		if got := c.Rate(step, 110); math.Abs(got-want) > 1e-9 {
			t.Errorf("rate at step %d is %g, expected %g", step, got, want)
		}
	}
}
