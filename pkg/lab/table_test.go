package lab

import (
	"math"
	"testing"
)

func TestSpread(t *testing.T) {
	if s := spread([]float64{1, 2, 6}); s.Mean != 3 || math.Abs(s.Spread-math.Sqrt(7)) > 1e-12 {
		t.Errorf("%+v, expected 3 and the root of 7", s)
	}
	if s := spread([]float64{5}); s != (Spread{5, 0}) {
		t.Errorf("%+v of one value", s)
	}
}
