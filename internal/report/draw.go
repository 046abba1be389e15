package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Styles of lines beyond those of runs.
const (
	styles   = 8  // runs are told apart by colour and dashes in turn
	inkStyle = -1 // the colour of text
)

// Picture is a chart drawn to a size: what the page's template writes as SVG.
type Picture struct {
	Chart
	ID                       string
	W, H                     float64
	Left, Right, Top, Bottom float64 // of the frame
	XTicks, YTicks, Second   []Tick  // Second is a scale on the right
	Areas, Faint, Lines      []Stroke
	Dots                     []Dot
	Events                   []Event
	Tips                     []Tip
}

// Height is the frame's.
func (p Picture) Height() float64 { return p.Bottom - p.Top }

// Tick is a label at a place.
type Tick struct {
	At    float64
	Label string
}

// Point is a place in a picture.
type Point struct{ X, Y float64 }

// Stroke is a path: a line, or a closed area.
type Stroke struct {
	Class  string
	Points []Point
	Closed bool
}

// D is the path in SVG's words.
func (s Stroke) D() string {
	var b strings.Builder
	for i, p := range s.Points {
		x, y := place(p.X), place(p.Y)
		switch {
		case i == 0:
			b.WriteString("M" + x + " " + y)
		case y == place(s.Points[i-1].Y):
			b.WriteString("H" + x)
		case x == place(s.Points[i-1].X):
			b.WriteString("V" + y)
		default:
			b.WriteString("L" + x + " " + y)
		}
	}
	if s.Closed {
		b.WriteString("Z")
	}
	return b.String()
}

// Dot is a point worth seeing.
type Dot struct {
	Class string
	X, Y  float64
}

// Event is a mark at a place.
type Event struct {
	X     float64
	Class string
	Label string
	Short string // beside the mark, where there is room
}

// Tip is what the reader sees who points at a stretch of the chart.
type Tip struct {
	X, W       float64 // stretch
	Line       float64 // where the value is
	BoxX, BoxW float64
	BoxH       float64
	Head       string
	Dots       []Dot
	Rows       []TipRow
}

// TipRow is one value of a tip.
type TipRow struct {
	Y           float64
	Class, Name string
	Value       string
}

// maxTips are the stretches that a chart is divided into.
const maxTips = 56

// draw places a chart in a frame of w by h units. With second, a loss has its
// perplexity on the right.
func draw(c Chart, id string, w, h float64, second bool) Picture {
	p := Picture{Chart: c, ID: id, W: w, H: h, Left: 52, Right: w - 14, Top: 16, Bottom: h - 26}
	if second {
		p.Right = w - 52
	}
	xs, ys := p.scales()
	p.ticks(xs, ys)
	if second {
		last := math.Inf(1)
		for _, v := range logTicks(math.Exp(ys.lo), math.Exp(ys.hi), 8) {
			if at := ys.at(math.Log(v)); last-at >= 13 {
				p.Second, last = append(p.Second, Tick{at, number(v)}), at
			}
		}
	}
	var base []float64
	for _, s := range c.Stack {
		top := make([]float64, len(s.Y))
		for i, v := range s.Y {
			if top[i] = v; base != nil {
				top[i] += base[i]
			}
		}
		p.Areas = append(p.Areas, Stroke{class(s.Style), area(xs, ys, s.X, top, base), true})
		base = top
	}
	for _, k := range c.Curves {
		if k.RawX != nil {
			p.Faint = append(p.Faint, Stroke{class(k.Style), line(xs, ys, k.RawX, k.RawY, false), false})
		}
		if !k.Scatter {
			p.Lines = append(p.Lines, Stroke{class(k.Style), line(xs, ys, k.X, k.Y, k.Stairs), false})
		}
		if k.Scatter || k.Dots && len(k.X) <= 60 {
			for i := range k.X {
				p.Dots = append(p.Dots, Dot{class(k.Style), xs.at(k.X[i]), ys.at(k.Y[i])})
			}
		}
	}
	for _, k := range c.Points {
		for i := range k.X {
			p.Dots = append(p.Dots, Dot{class(k.Style), xs.at(k.X[i]), ys.at(k.Y[i])})
		}
	}
	last := math.Inf(-1)
	for _, m := range c.Marks {
		e := Event{X: xs.at(m.X), Class: class(m.Run), Label: m.Label}
		if second && len(c.Curves) == 1 && e.X-last > 48 && e.X < p.Right-40 {
			e.Short, last = m.Short, e.X
		}
		p.Events = append(p.Events, e)
	}
	return p
}

// drawPage is draw with the values that the page shows under the pointer.
func drawPage(c Chart, id string, w, h float64, second bool) Picture {
	p := draw(c, id, w, h, second)
	p.tips(p.scales())
	return p
}

// scales are those of x and y in the frame.
func (p *Picture) scales() (xs, ys scale) {
	xs, ys = scale{p.From, p.To, p.Left, p.Right, p.LogX}, p.yScale()
	ys.from, ys.to = p.Bottom, p.Top
	return xs, ys
}

func class(style int) string {
	if style < 0 {
		return "ink"
	}
	return "s" + strconv.Itoa(style%styles)
}

// ticks labels both axes, bytes in steps of their unit.
func (p *Picture) ticks(xs, ys scale) {
	at := xs.ticks(max(3, int(p.W/110)))
	for i, label := range labels(at, xs.log) {
		p.XTicks = append(p.XTicks, Tick{xs.at(at[i]), label})
	}
	if p.Stack == nil {
		at = ys.ticks(4)
		for i, label := range labels(at, ys.log) {
			p.YTicks = append(p.YTicks, Tick{ys.at(at[i]), label})
		}
		return
	}
	of := 1.0
	for ys.hi/of > 1536 {
		of *= 1024
	}
	for _, v := range (scale{ys.lo / of, ys.hi / of, 0, 1, ys.log}).ticks(4) {
		p.YTicks = append(p.YTicks, Tick{ys.at(v * of), size(v * of)})
	}
}

// yScale covers the curves and nearly all of what they smooth: single outliers
// run into the frame's edge.
func (c Chart) yScale() scale {
	s := scale{lo: math.Inf(1), hi: math.Inf(-1), log: c.LogY}
	cover := func(v float64) {
		if !c.LogY || v > 0 {
			s.lo, s.hi = min(s.lo, v), max(s.hi, v)
		}
	}
	for _, b := range c.Bands {
		for _, v := range b.Values {
			cover(v)
		}
	}
	for _, k := range slices.Concat(c.Curves, c.Points) {
		for _, v := range k.Y {
			cover(v)
		}
		for _, v := range slices.Concat(k.Low, k.High) {
			cover(v)
		}
		if n := len(k.RawY); n > 0 {
			raw := slices.Sorted(slices.Values(k.RawY))
			cover(raw[n/200])
			cover(raw[n-1-n/100])
		}
	}
	if len(c.Stack) > 0 {
		for j := range c.Stack[0].Y {
			sum := 0.0
			for _, k := range c.Stack {
				sum += k.Y[j]
			}
			cover(sum)
		}
	}
	switch {
	case s.lo > s.hi:
		s.lo, s.hi = 0, 1
		if c.LogY {
			s.lo = 0.1
		}
	case c.Zero:
		s.lo, s.hi = 0, max(s.hi*1.06, c.Reach)
	case c.LogY:
		s.lo, s.hi = s.lo/1.08, s.hi*1.08
	default:
		pad := (s.hi - s.lo) * 0.04
		s.lo, s.hi = s.lo-pad, s.hi+pad
	}
	if s.hi == s.lo {
		s.hi = s.lo + max(1, math.Abs(s.lo)/10)
	}
	return s
}

func line(xs, ys scale, x, y []float64, stairs bool) []Point {
	var out []Point
	for i := range x {
		p := Point{xs.at(x[i]), ys.at(y[i])}
		if stairs && i > 0 {
			out = append(out, Point{p.X, out[len(out)-1].Y})
		}
		out = append(out, p)
	}
	return out
}

// area is the stretch between two stairs; a nil base is the bottom.
func area(xs, ys scale, x, top, base []float64) []Point {
	if base == nil {
		base = slices.Repeat([]float64{ys.lo}, len(x))
	}
	below := line(xs, ys, x, base, true)
	slices.Reverse(below)
	return append(line(xs, ys, x, top, true), below...)
}

// place prints a coordinate to a tenth.
func place(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// tips divides the chart into stretches, each with the values at its middle.
func (p *Picture) tips(xs, ys scale) {
	n := maxTips
	if longest := p.longest(); longest < n {
		n = longest
	}
	if n < 1 {
		return
	}
	step := (p.Right - p.Left) / float64(n)
	for i := range n {
		x := xs.lo + (xs.hi-xs.lo)*(float64(i)+0.5)/float64(n)
		t := Tip{X: p.Left + float64(i)*step, W: step, Line: xs.at(x), Head: p.X + " " + number(math.Round(x))}
		for _, k := range slices.Concat(reversed(p.Stack), p.Curves) {
			v, ok := k.at(x)
			if !ok {
				continue
			}
			t.Rows = append(t.Rows, TipRow{Class: class(k.Style), Name: k.Name, Value: p.Format(v)})
			if k.Style != inkStyle && len(p.Stack) == 0 {
				t.Dots = append(t.Dots, Dot{class(k.Style), t.Line, ys.at(v)})
			}
		}
		if len(p.Points) == 1 && len(t.Rows) == 1 {
			if v, ok := p.Points[0].at(x); ok {
				t.Rows[0].Name = "training"
				t.Rows = append(t.Rows, TipRow{Class: t.Rows[0].Class, Name: "validation", Value: p.Format(v)})
			}
		}
		if len(t.Rows) > 0 {
			t.box(p)
			p.Tips = append(p.Tips, t)
		}
	}
}

func reversed(c []Curve) []Curve {
	out := slices.Clone(c)
	slices.Reverse(out)
	return out
}

func (p *Picture) longest() (n int) {
	for _, k := range slices.Concat(p.Curves, p.Stack) {
		n = max(n, len(k.X))
		if k.Stairs {
			n = maxTips
		}
	}
	return n
}

// box finds room for a tip beside its line.
func (t *Tip) box(p *Picture) {
	long := len(t.Head)
	for i := range t.Rows {
		r := &t.Rows[i]
		if len(t.Rows) == 1 {
			r.Name = ""
		}
		if s := []rune(r.Name); len(s) > 18 {
			r.Name = string(s[:17]) + "…"
		}
		r.Y = float64(32 + 14*i)
		long = max(long, len([]rune(r.Name))+len(r.Value)+3)
	}
	t.BoxW, t.BoxH = 18+5.9*float64(long), float64(24+14*len(t.Rows))
	t.BoxX = t.Line + 8
	if t.BoxX+t.BoxW > p.W {
		t.BoxX = max(0, t.Line-8-t.BoxW)
	}
}
