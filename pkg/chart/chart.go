package chart

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ErrFormat is returned for a file name whose ending names no picture format.
var ErrFormat = errors.New("chart: unknown format")

// Axes is what every figure has around it.
type Axes struct {
	Title, X, Y string
	LogX, LogY  bool // logarithmic; values must then be above 0
}

// Line is one curve.
type Line struct {
	Name string
	X, Y []float64
	Low  []float64 // with High, the spread drawn as bars; nil for none
	High []float64
	Dots bool // points only, not joined
}

// Lines is curves in one frame.
type Lines struct {
	Axes
	Curves []Line
	Marks  []float64 // x of vertical lines
}

// palette is Okabe and Ito's, told apart by the colour-blind as well.
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 255}, {0xd5, 0x5e, 0x00, 255}, {0x00, 0x9e, 0x73, 255}, {0xcc, 0x79, 0xa7, 255},
	{0xe6, 0x9f, 0x00, 255}, {0x56, 0xb4, 0xe9, 255}, {0x33, 0x33, 0x33, 255}, {0x99, 0x99, 0x99, 255},
}

// Color is the colour of curve i.
func Color(i int) color.RGBA { return palette[i%len(palette)] }

// frame is an empty plot with the axes' words.
func (a Axes) frame() *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = a.Title, a.X, a.Y
	p.Title.Padding = vg.Points(10)
	if a.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 2}
	}
	if a.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 2}
	}
	sans := func(size float64) font.Font {
		return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
	}
	p.Title.TextStyle.Font, p.Legend.TextStyle.Font = sans(12), sans(9)
	for _, x := range []*plot.Axis{&p.X, &p.Y} {
		x.Label.TextStyle.Font, x.Tick.Label.Font = sans(10), sans(9)
		x.Label.Padding = vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{240}
	p.Add(grid)
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(3)
	p.Legend.ThumbnailWidth = vg.Points(16)
	return p
}

// Draw makes the plot.
func (l Lines) Draw() (*plot.Plot, error) {
	p := l.frame()
	for i, c := range l.Curves {
		if len(c.X) != len(c.Y) || c.Low != nil && (len(c.Low) != len(c.X) || len(c.High) != len(c.X)) {
			return nil, fmt.Errorf("chart: curve %q has %d x and %d y", c.Name, len(c.X), len(c.Y))
		}
		points := make(plotter.XYs, 0, len(c.X))
		var bars plotter.YErrors
		for j := range c.X {
			if !l.drawable(c.X[j], c.Y[j]) {
				continue
			}
			points = append(points, plotter.XY{X: c.X[j], Y: c.Y[j]})
			if c.Low != nil {
				bars = append(bars, struct{ Low, High float64 }{c.Y[j] - c.Low[j], c.High[j] - c.Y[j]})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("chart: curve %q: %w", c.Name, err)
		}
		line.Color, line.Width = Color(i), vg.Points(1.6)
		dots.Color, dots.Radius, dots.Shape = Color(i), vg.Points(2.4), draw.CircleGlyph{}
		var legend []plot.Thumbnailer
		if !c.Dots {
			p.Add(line)
			legend = append(legend, line)
		}
		if c.Dots || len(points) <= 40 {
			p.Add(dots)
			legend = append(legend, dots)
		}
		if bars != nil {
			e, err := plotter.NewYErrorBars(struct {
				plotter.XYer
				plotter.YErrorer
			}{points, bars})
			if err != nil {
				return nil, fmt.Errorf("chart: curve %q: %w", c.Name, err)
			}
			e.Color = Color(i)
			p.Add(e)
		}
		if c.Name != "" {
			p.Legend.Add(c.Name, legend...)
		}
	}
	for _, x := range l.Marks {
		m, err := plotter.NewLine(plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}})
		if err != nil {
			return nil, fmt.Errorf("chart: mark at %g: %w", x, err)
		}
		m.Color, m.Dashes = color.Gray{120}, []vg.Length{vg.Points(3), vg.Points(3)}
		p.Add(m)
	}
	l.widen(p)
	return p, nil
}

// widen gives a logarithmic axis with a single value room around it: Gonum's
// would reach to 0, where it has no logarithm.
func (a Axes) widen(p *plot.Plot) {
	for _, x := range []struct {
		log  bool
		axis *plot.Axis
	}{{a.LogX, &p.X}, {a.LogY, &p.Y}} {
		switch {
		case !x.log:
		case math.IsInf(x.axis.Min, 0):
			x.axis.Min, x.axis.Max = 0.1, 1
		case x.axis.Min == x.axis.Max:
			x.axis.Min, x.axis.Max = x.axis.Min/2, x.axis.Max*2
		}
	}
}

// drawable leaves out what has no place in the frame.
func (a Axes) drawable(x, y float64) bool {
	ok := func(v float64, log bool) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && (!log || v > 0) }
	return ok(x, a.LogX) && ok(y, a.LogY)
}

// Figure is what can be drawn.
type Figure interface{ Draw() (*plot.Plot, error) }

// Formats are the endings of file names that Encode knows.
var Formats = []string{".svg", ".png"}

// CheckName refuses a file name that Encode could not write.
func CheckName(name string) error {
	if !slices.Contains(Formats, filepath.Ext(name)) {
		return fmt.Errorf("%w: %q, expected a name that ends in .svg or .png", ErrFormat, name)
	}
	return nil
}

// Encode draws a figure of width x height points in the format that the ending
// of name says.
func Encode(f Figure, name string, width, height float64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	p, err := f.Draw()
	if err != nil {
		return nil, err
	}
	c, err := draw.NewFormattedCanvas(vg.Points(width), vg.Points(height), filepath.Ext(name)[1:])
	if err != nil {
		return nil, err
	}
	paper := draw.New(c)
	paper.SetColor(color.White)
	paper.Fill(paper.Rectangle.Path())
	paper = draw.Crop(paper, vg.Points(6), -vg.Points(10), vg.Points(6), -vg.Points(6))
	// The legend stands beside the frame, where it hides nothing.
	legend := p.Legend
	p.Legend = plot.NewLegend()
	p.Draw(draw.Crop(paper, 0, -legend.Rectangle(paper).Size().X, 0, 0))
	legend.YOffs = -vg.Points(24)
	legend.Draw(paper)
	var out bytes.Buffer
	_, err = io.Copy(&out, reader{c})
	return out.Bytes(), err
}

// reader hands io.Copy what only knows WriteTo.
type reader struct{ io.WriterTo }

func (reader) Read([]byte) (int, error) { return 0, io.EOF }
