package report

import (
	"math"
	"slices"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		s    scale
		n    int
		want []float64
	}{
		{scale{lo: 0, hi: 10}, 4, []float64{0, 2.5, 5, 7.5, 10}},
		{scale{lo: 0.9, hi: 2.1}, 4, []float64{1, 1.5, 2}},
		{scale{lo: 1, hi: 1000, log: true}, 4, []float64{1, 10, 100, 1000}},
		{scale{lo: 3, hi: 60, log: true}, 4, []float64{5, 10, 20, 50}},
		{scale{lo: 1e-300, hi: 1e300, log: true}, 2, nil},
		{scale{lo: 5, hi: 5}, 4, []float64{5}},
		{scale{lo: 0, hi: math.Inf(1)}, 4, []float64{0}},
	} {
		got := c.s.ticks(c.n)
		if c.want == nil {
			if len(got) > 64 {
				t.Errorf("%+v has %d ticks", c.s, len(got))
			}
			continue
		}
		if len(got) != len(c.want) || !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9*(1+math.Abs(b)) }) {
			t.Errorf("%+v has ticks %v, expected %v", c.s, got, c.want)
		}
	}
}

func TestScaleStaysInItsFrame(t *testing.T) {
	for _, s := range []scale{{0, 1, 10, 20, false}, {1e-3, 10, 10, 20, true}, {0, 0, 10, 20, false}} {
		for _, v := range []float64{0, -1, 0.5, 1e308, -1e308, math.NaN(), math.Inf(1)} {
			if at := s.at(v); !(at >= 10 && at <= 20) {
				t.Errorf("%g lies at %g of %+v", v, at, s)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{number(4877568), "4.88M"}, {number(803968), "804k"}, {number(0), "0"}, {number(1234), "1234"}, {number(0.25), "0.25"}, {number(math.NaN()), "–"},
		{size(0), "0 B"}, {size(95 << 20), "95 MiB"}, {size(1536), "1.5 KiB"}, {count(4877568), "4,877,568"}, {count(-1234), "-1,234"}, {count(12), "12"},
		{short(0.00012345), "0.00012"}, {duration(61), "1 min 01 s"}, {duration(3700), "1 h 01 min"}, {change(-0.464), "−46%"},
	} {
		if c.got != c.want {
			t.Errorf("%q, expected %q", c.got, c.want)
		}
	}
}
