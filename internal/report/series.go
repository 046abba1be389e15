package report

import (
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/train"
)

// Curve is one line of a chart.
type Curve struct {
	Name    string
	Style   int // colour and dashes
	X, Y    []float64
	RawX    []float64 // what Y smooths, drawn faintly; nil for none
	RawY    []float64
	Low     []float64 // with High, the spread drawn as bars in a file; nil for none
	High    []float64
	Dots    bool // few points, each worth a dot
	Scatter bool // dots that no line joins
	Stairs  bool // keeps its value until the next point
}

// at is the curve's value at x: that of the newest point up to it.
func (c Curve) at(x float64) (float64, bool) {
	i, found := slices.BinarySearch(c.X, x)
	if !found {
		i--
	}
	if i < 0 || i >= len(c.Y) {
		return 0, false
	}
	return c.Y[i], true
}

// maxPoints are the points that a line is drawn with.
const maxPoints = 320

// smooth makes a curve of a noisy measurement: a mean, or median where typical,
// over a window of a fortieth of the run that never reaches across a pruning
// event. The measurement itself stays beside it.
func smooth(r *Run, x func(train.Record) float64, y func(train.Record) float64, typical bool) Curve {
	var c Curve
	half := len(r.Steps) / 80
	var xs, ys []float64
	flush := func() {
		for i := range ys {
			lo, hi := max(0, i-half), min(len(ys), i+half+1)
			v := mean(ys[lo:hi])
			if typical {
				v = middle(ys[lo:hi])
			}
			c.X, c.Y = append(c.X, xs[i]), append(c.Y, v)
		}
		xs, ys = xs[:0], ys[:0]
	}
	for _, s := range r.Steps {
		if v := y(s); !math.IsInf(v, 0) && !math.IsNaN(v) {
			c.RawX, c.RawY = append(c.RawX, x(s)), append(c.RawY, v)
			xs, ys = append(xs, x(s)), append(ys, v)
		}
		if s.Pruned {
			flush()
		}
	}
	flush()
	if half == 0 {
		c.RawX, c.RawY = nil, nil
	}
	c.X, c.Y = thin(c.X, c.Y)
	c.RawX, c.RawY = extremes(c.RawX, c.RawY)
	return c
}

func mean(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v / float64(len(x))
	}
	return s
}

// thin leaves evenly chosen points, the first and last among them.
func thin(x, y []float64) (tx, ty []float64) {
	n := len(x)
	if n <= maxPoints {
		return x, y
	}
	for i := range maxPoints {
		k := i * (n - 1) / (maxPoints - 1)
		tx, ty = append(tx, x[k]), append(ty, y[k])
	}
	return tx, ty
}

// extremes leaves the least and the greatest of even stretches, so that the
// spread of the noise stays what it is.
func extremes(x, y []float64) (tx, ty []float64) {
	n := len(x)
	if n <= 2*maxPoints {
		return x, y
	}
	for i := range maxPoints {
		lo, hi := i*n/maxPoints, (i+1)*n/maxPoints
		a, b := lo, lo
		for k := lo; k < hi; k++ {
			if y[k] < y[a] {
				a = k
			}
			if y[k] > y[b] {
				b = k
			}
		}
		for _, k := range []int{min(a, b), max(a, b)} {
			tx, ty = append(tx, x[k]), append(ty, y[k])
		}
	}
	return tx, ty
}

// points makes a curve of the records that have the value.
func points(r *Run, x func(train.Record) float64, y func(train.Record) (float64, bool)) Curve {
	var c Curve
	for _, s := range r.Steps {
		if v, ok := y(s); ok && !math.IsInf(v, 0) && !math.IsNaN(v) {
			c.X, c.Y = append(c.X, x(s)), append(c.Y, v)
		}
	}
	return c
}

// stairs makes a curve that keeps its value, without the points that change nothing.
func stairs(r *Run, x func(train.Record) float64, y func(train.Record) float64) Curve {
	c := Curve{Stairs: true}
	for i, s := range r.Steps {
		v, n := y(s), len(c.Y)
		if n == 0 || v != c.Y[n-1] || i == len(r.Steps)-1 {
			c.X, c.Y = append(c.X, x(s)), append(c.Y, v)
		}
	}
	c.X, c.Y = thin(c.X, c.Y)
	return c
}
