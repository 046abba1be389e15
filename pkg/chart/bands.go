package chart

import (
	"image/color"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Band is one distribution.
type Band struct {
	Name   string // below it; repeated names are one place on the axis
	Group  string // its colour and its entry in the legend
	Values []float64
}

// Bands is distributions side by side: the range as a thin line, the middle half
// as a thick one, the median as a dot.
type Bands struct {
	Axes
	Bands []Band
}

// Quantile is the q-quantile (0 to 1) of ascending values, interpolated linearly;
// NaN for none.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	lo := int(at)
	hi := min(lo+1, len(sorted)-1)
	return sorted[lo] + (at-float64(lo))*(sorted[hi]-sorted[lo])
}

// Draw makes the plot.
func (b Bands) Draw() (*plot.Plot, error) {
	p := b.frame()
	places, groups := map[string]int{}, map[string]int{}
	var names, kinds []string
	for _, band := range b.Bands {
		if _, ok := places[band.Name]; !ok {
			places[band.Name] = len(names)
			names = append(names, band.Name)
		}
		if _, ok := groups[band.Group]; !ok {
			groups[band.Group] = len(kinds)
			kinds = append(kinds, band.Group)
		}
	}
	for _, band := range b.Bands {
		var v []float64
		for _, x := range band.Values {
			if b.drawable(1, x) {
				v = append(v, x)
			}
		}
		if len(v) == 0 {
			continue
		}
		sort.Float64s(v)
		i := groups[band.Group]
		x := float64(places[band.Name]) + (float64(i)-float64(len(kinds)-1)/2)*0.8/float64(len(kinds))
		for _, part := range []struct{ lo, hi, width float64 }{{0, 1, 1}, {0.25, 0.75, 5}} {
			l, err := plotter.NewLine(plotter.XYs{{X: x, Y: Quantile(v, part.lo)}, {X: x, Y: Quantile(v, part.hi)}})
			if err != nil {
				return nil, err
			}
			l.Color, l.Width = Color(i), vg.Points(part.width)
			p.Add(l)
		}
		dot, err := plotter.NewScatter(plotter.XYs{{X: x, Y: Quantile(v, 0.5)}})
		if err != nil {
			return nil, err
		}
		dot.Shape, dot.Radius, dot.Color = draw.CircleGlyph{}, vg.Points(2), color.White
		p.Add(dot)
	}
	for i, k := range kinds {
		l, err := plotter.NewLine(plotter.XYs{{}, {}})
		if err != nil {
			return nil, err
		}
		l.Color, l.Width = Color(i), vg.Points(5)
		p.Legend.Add(k, l)
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	b.widen(p)
	return p, nil
}
