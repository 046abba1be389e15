package report

import "image/color"

// entry is one line of a legend.
type entry struct {
	at    Point
	name  string
	color color.RGBA
	curve *Curve // nil for an area or a band
}

// legend places the names of what is drawn above the frame, in as many lines as
// they need. A single curve without a name has none.
func (c Chart) legend(w float64) (out []entry, lines int) {
	x, y := 14.0, head+4
	add := func(name string, col color.RGBA, k *Curve) {
		if name == "" {
			return
		}
		long := 34 + 6.4*float64(len([]rune(name)))
		if len(out) > 0 && x+long > w-8 {
			x, y = 14, y+legendLine
		}
		out = append(out, entry{Point{x, y}, name, col, k})
		x += long
	}
	for _, k := range c.Stack {
		add(k.Name, areas[k.Style%len(areas)], nil)
	}
	for i, g := range groups(c.Bands) {
		add(g, colorOf(i), nil)
	}
	for i := range c.Curves {
		add(c.Curves[i].Name, colorOf(c.Curves[i].Style), &c.Curves[i])
	}
	if len(out) == 0 {
		return nil, 0
	}
	return out, 1 + int((y-head-4)/legendLine+0.5)
}

func (e entry) draw(s sheet) {
	x, y := e.at.X, e.at.Y
	switch {
	case e.curve == nil:
		s.fill([]Point{{x, y - 8}, {x + 12, y - 8}, {x + 12, y + 1}, {x, y + 1}}, e.color)
	case e.curve.Scatter:
		s.dot(Point{x + 9, y - 4}, 3.4, e.color)
	default:
		p := pen{color: e.color, width: 1.9}
		if e.curve.Style >= 0 {
			p.dash = dashes[e.curve.Style%styles]
		}
		s.line([]Point{{x, y - 4}, {x + 18, y - 4}}, p)
	}
	s.text(Point{x + 23, y}, e.name, words{size: textSize, color: ink})
}
