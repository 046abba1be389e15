package report

import (
	"slices"

	"github.com/ecospa/ecospa/pkg/prune"
)

// Band is one distribution.
type Band struct {
	Name   string // below it; repeated names are one place on the axis
	Group  string // its colour and its entry in the legend
	Values []float64
}

// clean is the bands with their drawable values, ascending; nil for no bands.
func (c Chart) clean(ok func(v float64, log bool) bool) []Band {
	var out []Band
	for _, b := range c.Bands {
		b.Values = slices.DeleteFunc(slices.Clone(b.Values), func(v float64) bool { return !ok(v, c.LogY) })
		slices.Sort(b.Values)
		out = append(out, b)
	}
	return out
}

// names are the bands' names in order, each once.
func names(bands []Band) []string { return once(bands, func(b Band) string { return b.Name }) }

// groups are the bands' groups in order, each once.
func groups(bands []Band) []string { return once(bands, func(b Band) string { return b.Group }) }

func once(bands []Band, of func(Band) string) (out []string) {
	for _, b := range bands {
		if s := of(b); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// bands draws distributions side by side: the range as a thin line, the middle half
// as a thick one, the median as a dot.
func (c Chart) bands(s sheet, xs, ys scale) {
	places, kinds := names(c.Bands), groups(c.Bands)
	for i, name := range places {
		s.text(Point{xs.at(float64(i)), ys.from + 17}, name, words{size: textSize, color: soft, anchor: middleOf})
	}
	for _, b := range c.Bands {
		if len(b.Values) == 0 {
			continue
		}
		k := slices.Index(kinds, b.Group)
		x := xs.at(float64(slices.Index(places, b.Name)) + (float64(k)-float64(len(kinds)-1)/2)*0.8/float64(len(kinds)))
		at := func(q float64) Point { return Point{x, ys.at(prune.Quantile(b.Values, q))} }
		s.line([]Point{at(0), at(1)}, pen{color: colorOf(k), width: 1})
		s.line([]Point{at(0.25), at(0.75)}, pen{color: colorOf(k), width: 6})
		s.dot(at(0.5), 3.2, colorOf(k))
		s.dot(at(0.5), 2.2, paper)
	}
}
