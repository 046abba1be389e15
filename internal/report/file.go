package report

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// ErrFormat is returned for a file name whose extension names no picture format.
var ErrFormat = errors.New("plot: unknown format")

// Formats are the extensions that Chart.Encode knows.
var Formats = []string{".svg", ".png"}

// CheckName refuses a file name that Chart.Encode could not write.
func CheckName(name string) error {
	if !slices.Contains(Formats, filepath.Ext(name)) {
		return fmt.Errorf("%w: %q, expected a name that ends in .svg or .png", ErrFormat, name)
	}
	return nil
}

// Encode draws the chart, w x h units large, in the format that the extension of
// name says. A PNG file has two pixels a unit. Values that have no place on the
// axes (NaN, infinite, not above 0 on a logarithmic axis) are left out.
func (c Chart) Encode(name string, w, h float64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	c, err := c.drawable()
	if err != nil {
		return nil, err
	}
	if filepath.Ext(name) == ".svg" {
		s := newSVGSheet(w, h)
		c.onto(s, w, h)
		return s.bytes(), nil
	}
	s, err := newPNGSheet(w, h)
	if err != nil {
		return nil, err
	}
	c.onto(s, w, h)
	return s.bytes()
}

// drawable is the chart without the values that have no place in it, and with the
// range of x that the others have.
func (c Chart) drawable() (Chart, error) {
	ok := func(v float64, log bool) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && (!log || v > 0) }
	ranged := c.From != 0 || c.To != 0
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, list := range []*[]Curve{&c.Curves, &c.Points, &c.Stack} {
		*list = slices.Clone(*list)
		for i := range *list {
			k := &(*list)[i]
			if len(k.X) != len(k.Y) || len(k.Low) != len(k.High) || k.Low != nil && len(k.Low) != len(k.X) {
				return c, fmt.Errorf("plot: curve %q has %d x, %d y and %d, %d ends of bars", k.Name, len(k.X), len(k.Y), len(k.Low), len(k.High))
			}
			clean := *k
			clean.X, clean.Y, clean.Low, clean.High = nil, nil, nil, nil
			for j, x := range k.X {
				if !ok(x, c.LogX) || !ok(k.Y[j], c.LogY) {
					continue
				}
				clean.X, clean.Y = append(clean.X, x), append(clean.Y, k.Y[j])
				if k.Low != nil {
					clean.Low, clean.High = append(clean.Low, k.Low[j]), append(clean.High, k.High[j])
				}
				lo, hi = min(lo, x), max(hi, x)
			}
			*k = clean
		}
	}
	if c.Bands = c.clean(ok); c.Bands != nil {
		lo, hi, ranged = -0.6, float64(len(names(c.Bands)))-0.4, false
	}
	switch {
	case ranged:
	case lo > hi && c.LogX:
		c.From, c.To = 0.1, 1
	case lo > hi:
		c.From, c.To = 0, 1
	case lo == hi && c.LogX:
		c.From, c.To = lo/2, hi*2
	case lo == hi:
		c.From, c.To = lo-max(1, math.Abs(lo)/10), hi+max(1, math.Abs(hi)/10)
	case c.LogX:
		c.From, c.To = lo/1.08, hi*1.08
	default:
		pad := (hi - lo) * 0.03
		if c.Bands != nil {
			pad = 0
		}
		c.From, c.To = lo-pad, hi+pad
	}
	return c, nil
}

// Write draws the chart to a file of 640 x 400 units.
func (c Chart) Write(name string) error {
	b, err := c.Encode(name, 640, 400)
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(name, b)
}
