package report

import "image/color"

// sheet is what a chart is drawn onto.
type sheet interface {
	line(at []Point, p pen)
	fill(at []Point, c color.RGBA)
	dot(at Point, radius float64, c color.RGBA)
	text(at Point, s string, w words)
}

// pen is how a line looks.
type pen struct {
	color color.RGBA
	width float64
	dash  []float64 // nil for a whole line
}

// Where a text stands from its place.
const (
	startOf = iota
	middleOf
	endOf
)

// Sizes of text.
const textSize, titleSize = 11.0, 14.0

// words is how a text looks.
type words struct {
	size   float64 // textSize or titleSize
	color  color.RGBA
	anchor int
	bold   bool
}

// Colours of a file: those of style.css in daylight.
var (
	paper     = color.RGBA{0xff, 0xfe, 0xfb, 255}
	ink       = color.RGBA{0x1d, 0x1c, 0x1a, 255}
	soft      = color.RGBA{0x6a, 0x67, 0x62, 255}
	gridColor = color.RGBA{0xed, 0xeb, 0xe5, 255}
	markColor = color.RGBA{0xb9, 0xb4, 0xa9, 255}
	palette   = [styles]color.RGBA{
		{0x00, 0x67, 0xa5, 255}, {0xc6, 0x53, 0x00, 255}, {0x00, 0x80, 0x5e, 255}, {0xb0, 0x56, 0x8f, 255},
		{0x8a, 0x6a, 0x00, 255}, {0x3a, 0x93, 0xcf, 255}, {0x5b, 0x5b, 0x5b, 255}, {0x7c, 0x4d, 0xbd, 255},
	}
	areas  = [5]color.RGBA{palette[0], {0x56, 0xa9, 0xd8, 255}, {0xe0, 0xa0, 0x33, 255}, {0xd9, 0xd4, 0xc7, 255}, palette[3]}
	dashes = [styles][]float64{nil, {7, 3}, {2, 3.4}, {9, 3, 2, 3}, {14, 4}, {4, 4}, {1, 5}, {12, 3, 2, 3, 2, 3}}
)

func colorOf(style int) color.RGBA {
	if style < 0 {
		return ink
	}
	return palette[style%styles]
}

// The room above a chart for its title, and for a line of its legend.
const head, legendLine = 34.0, 16.0

// onto draws the chart with its title, its axes' names and a legend.
func (c Chart) onto(s sheet, w, h float64) {
	legend, lines := c.legend(w)
	top, foot := head+legendLine*float64(lines), 18.0
	p := draw(c, "", w, h-top-foot, false)
	xs, ys := p.scales()
	ys.from, ys.to = ys.from+top, ys.to+top
	s.text(Point{14, 22}, c.Title, words{size: titleSize, color: ink, bold: true})
	s.text(Point{p.Right, 22}, c.unit(), words{size: textSize, color: soft, anchor: endOf})
	s.text(Point{(p.Left + p.Right) / 2, h - 8}, c.X, words{size: textSize, color: soft, anchor: middleOf})
	for _, t := range p.YTicks {
		y := t.At + top
		s.line([]Point{{p.Left, y}, {p.Right, y}}, pen{color: gridColor, width: 1})
		s.text(Point{p.Left - 7, y + 3.8}, t.Label, words{size: textSize, color: soft, anchor: endOf})
	}
	s.line([]Point{{p.Left, ys.from}, {p.Right, ys.from}}, pen{color: markColor, width: 1})
	for _, e := range p.Events {
		s.line([]Point{{e.X, ys.to}, {e.X, ys.from}}, pen{color: markColor, width: 1, dash: []float64{3, 3}})
	}
	for _, l := range legend {
		l.draw(s)
	}
	if c.Bands != nil {
		c.bands(s, xs, ys)
		return
	}
	for _, t := range p.XTicks {
		s.text(Point{t.At, ys.from + 17}, t.Label, words{size: textSize, color: soft, anchor: middleOf})
	}
	for i, a := range p.Areas {
		s.fill(lowered(a.Points, top), areas[c.Stack[i].Style%len(areas)])
	}
	c.curves(s, xs, ys)
}

func (c Chart) unit() string {
	if c.LogY && c.Unit != "" && c.Key != "perplexity" && c.Key != "gradient-norm" {
		return c.Unit + ", log scale"
	}
	return c.Unit
}

// curves draws lines, what they smooth, dots and bars.
func (c Chart) curves(s sheet, xs, ys scale) {
	for _, k := range c.Curves {
		col := colorOf(k.Style)
		pale := color.RGBA{mix(col.R), mix(col.G), mix(col.B), 255}
		s.line(line(xs, ys, k.RawX, k.RawY, false), pen{color: pale, width: 1})
	}
	for _, k := range c.Curves {
		p := pen{color: colorOf(k.Style), width: 1.9}
		if k.Style >= 0 {
			p.dash = dashes[k.Style%styles]
		}
		at := line(xs, ys, k.X, k.Y, k.Stairs)
		if !k.Scatter {
			s.line(at, p)
		}
		for i := range k.Low {
			x := xs.at(k.X[i])
			s.line([]Point{{x, ys.at(k.Low[i])}, {x, ys.at(k.High[i])}}, pen{color: p.color, width: 1.2})
		}
		if k.Scatter || k.Dots && len(k.X) <= 60 {
			for i := range k.X {
				s.dot(Point{xs.at(k.X[i]), ys.at(k.Y[i])}, 3.4, p.color)
			}
		}
	}
	for _, k := range c.Points {
		for i := range k.X {
			s.dot(Point{xs.at(k.X[i]), ys.at(k.Y[i])}, 3.4, colorOf(k.Style))
		}
	}
}

// mix is a colour's part, four fifths on the way to white.
func mix(v uint8) uint8 { return uint8(255 - (255-int(v))*3/10) }

func lowered(at []Point, by float64) []Point {
	out := make([]Point, len(at))
	for i, p := range at {
		out[i] = Point{p.X, p.Y + by}
	}
	return out
}
