package report

import (
	"fmt"
	"math"
	"strconv"
)

// scale maps values to places on the page.
type scale struct {
	lo, hi   float64 // values
	from, to float64 // places
	log      bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log(max(v, math.SmallestNonzeroFloat64)), math.Log(lo), math.Log(hi)
	}
	t := 0.5
	if hi > lo {
		t = (v - lo) / (hi - lo)
	}
	if math.IsNaN(t) {
		t = 0
	}
	return s.from + min(max(t, 0), 1)*(s.to-s.from)
}

// ticks are about n round values of the scale.
func (s scale) ticks(n int) []float64 {
	if s.log && s.hi/s.lo > 4 {
		return logTicks(s.lo, s.hi, n)
	}
	step := roundStep((s.hi - s.lo) / float64(max(n, 1)))
	if step <= 0 || math.IsInf(step, 0) {
		return []float64{s.lo}
	}
	var out []float64
	first := math.Ceil(s.lo/step - 1e-9)
	for i := 0; i <= 4*n; i++ {
		v := (first + float64(i)) * step
		if v > s.hi+step*1e-9 {
			break
		}
		out = append(out, v)
	}
	return out
}

// logTicks are powers of ten, with 2 and 5 times them where there is room.
func logTicks(lo, hi float64, n int) []float64 {
	decades := math.Log10(hi / lo)
	every := max(1, math.Ceil(decades/float64(n)))
	parts := []float64{1}
	if decades <= float64(n)/2 {
		parts = []float64{1, 2, 5}
	}
	var out []float64
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)) && len(out) < 64; e += every {
		for _, p := range parts {
			if v := p * math.Pow(10, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				out = append(out, v)
			}
		}
	}
	return out
}

// roundStep is the least of 1, 2, 2.5, 5 times a power of ten that is not below x.
func roundStep(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		return 0
	}
	p := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*p >= x*(1-1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// labels are the ticks' texts, with as many digits as tell a tick's value: 5.425
// beside 5.45 is not 5.42.
func labels(ticks []float64, log bool) []string {
	out := make([]string, len(ticks))
	top, step := 0.0, math.Inf(1)
	for i, v := range ticks {
		out[i] = short(v)
		top = max(top, math.Abs(v))
		if i > 0 {
			step = min(step, math.Abs(v-ticks[i-1]))
		}
	}
	if log || len(ticks) < 2 || !(step > 0) || top >= 1e15 || top < 1e-3 {
		return out
	}
	unit, name := 1.0, ""
	for _, u := range []struct {
		from, of float64
		name     string
	}{{1e4, 1e3, "k"}, {1e6, 1e6, "M"}, {1e9, 1e9, "G"}, {1e12, 1e12, "T"}} {
		if top >= u.from {
			unit, name = u.of, u.name
		}
	}
	exact := func(n int) bool {
		p := math.Pow(10, float64(n))
		for _, v := range ticks {
			if math.Abs(math.Round(v/unit*p)/p-v/unit) > 1e-3*step/unit {
				return false
			}
		}
		return true
	}
	n := 0
	for n < 9 && !exact(n) {
		n++
	}
	for i, v := range ticks {
		out[i] = strconv.FormatFloat(v/unit+0, 'f', n, 64) + name
		if math.Abs(v) < 1e-9*step {
			out[i] = "0"
		}
	}
	return out
}

// number prints a figure in as few characters as tell it: 4,877,568 is 4.88M.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case !(a < math.Inf(1)):
		return "–"
	case a >= 1e15:
		return fmt.Sprintf("%.1e", v)
	case a >= 1e12:
		return digits(v/1e12) + "T"
	case a >= 1e9:
		return digits(v/1e9) + "G"
	case a >= 1e6:
		return digits(v/1e6) + "M"
	case a >= 1e4:
		return digits(v/1e3) + "k"
	case a == 0:
		return "0"
	case a < 1e-3:
		return strconv.FormatFloat(v, 'e', -1, 32)
	}
	return digits(v)
}

// short is number with two significant digits below a thousandth, for ticks.
func short(v float64) string {
	if a := math.Abs(v); a > 0 && a < 1e-3 {
		return fmt.Sprintf("%.2g", v)
	}
	return number(v)
}

// digits prints three significant digits without zeros after the point.
func digits(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// size prints bytes in binary units.
func size(v float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1 << 40, " TiB"}, {1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}} {
		if math.Abs(v) >= u.of {
			return digits(v/u.of) + u.name
		}
	}
	return digits(v) + " B"
}

// fixed prints with n digits after the point.
func fixed(n int) func(float64) string {
	return func(v float64) string { return strconv.FormatFloat(v, 'f', n, 64) }
}

// count prints a whole number in groups of three: 4,877,568.
func count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
