package report

import (
	"fmt"
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

// Stroke is a path.
type Stroke struct{ Class, D string }

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
	xs, ys := scale{c.From, c.To, p.Left, p.Right, false}, c.yScale()
	ys.from, ys.to = p.Bottom, p.Top
	for _, v := range xs.ticks(max(3, int(w/110))) {
		p.XTicks = append(p.XTicks, Tick{xs.at(v), number(v)})
	}
	of := 1.0
	if c.Stack != nil { // bytes
		for ys.hi/of > 1536 {
			of *= 1024
		}
	}
	for _, v := range (scale{ys.lo / of, ys.hi / of, 0, 1, ys.log}).ticks(4) {
		v *= of
		p.YTicks = append(p.YTicks, Tick{ys.at(v), c.tick(v)})
	}
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
		p.Areas = append(p.Areas, Stroke{class(s.Style), area(xs, ys, s.X, top, base)})
		base = top
	}
	for _, k := range c.Curves {
		if k.RawX != nil {
			p.Faint = append(p.Faint, Stroke{class(k.Style), line(xs, ys, k.RawX, k.RawY, false)})
		}
		p.Lines = append(p.Lines, Stroke{class(k.Style), line(xs, ys, k.X, k.Y, k.Stairs)})
		if k.Dots && len(k.X) <= 60 {
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
	p.tips(xs, ys)
	return p
}

func class(style int) string {
	if style < 0 {
		return "ink"
	}
	return "s" + strconv.Itoa(style%styles)
}

func (c Chart) tick(v float64) string {
	if c.Format == nil || c.Key == "loss" {
		return short(v)
	}
	return c.Format(v)
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
	for _, k := range slices.Concat(c.Curves, c.Points) {
		for _, v := range k.Y {
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

func line(xs, ys scale, x, y []float64, stairs bool) string {
	var b strings.Builder
	for i := range x {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%s %s", place(xs.at(x[i])), place(ys.at(y[i])))
		case stairs:
			fmt.Fprintf(&b, "H%sV%s", place(xs.at(x[i])), place(ys.at(y[i])))
		default:
			fmt.Fprintf(&b, "L%s %s", place(xs.at(x[i])), place(ys.at(y[i])))
		}
	}
	return b.String()
}

// area is the stretch between two stairs; a nil base is the bottom.
func area(xs, ys scale, x, top, base []float64) string {
	b := line(xs, ys, x, top, true)
	if base == nil {
		return b + fmt.Sprintf("V%sH%sZ", place(ys.at(ys.lo)), place(xs.at(x[0])))
	}
	n := len(x) - 1
	var s strings.Builder
	fmt.Fprintf(&s, "V%s", place(ys.at(base[n])))
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&s, "V%sH%s", place(ys.at(base[i])), place(xs.at(x[i])))
	}
	return b + s.String() + "Z"
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
