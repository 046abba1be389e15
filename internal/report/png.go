package report

import (
	"bytes"
	"image"
	"image/color"
	over "image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	grid "golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// pixels are those of a unit in a PNG file.
const pixels = 2

// pngSheet paints a picture.
type pngSheet struct {
	img   *image.RGBA
	faces map[float64]font.Face
}

func newPNGSheet(w, h float64) (*pngSheet, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	s := &pngSheet{image.NewRGBA(image.Rect(0, 0, int(w*pixels), int(h*pixels))), map[float64]font.Face{}}
	for _, size := range []float64{textSize, titleSize} {
		if s.faces[size], err = opentype.NewFace(f, &opentype.FaceOptions{Size: size * pixels, DPI: 72}); err != nil {
			return nil, err
		}
	}
	over.Draw(s.img, s.img.Bounds(), image.NewUniform(paper), image.Point{}, over.Src)
	return s, nil
}

func (s *pngSheet) bytes() ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, s.img)
	return b.Bytes(), err
}

// paint fills closed outlines; where they overlap in the same sense they are one.
func (s *pngSheet) paint(c color.RGBA, outlines ...[]Point) {
	lo, hi := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, at := range outlines {
		for _, p := range at {
			lo, hi = Point{min(lo.X, p.X), min(lo.Y, p.Y)}, Point{max(hi.X, p.X), max(hi.Y, p.Y)}
		}
	}
	box := image.Rect(int(lo.X*pixels)-1, int(lo.Y*pixels)-1, int(hi.X*pixels)+2, int(hi.Y*pixels)+2).Intersect(s.img.Bounds())
	if box.Empty() {
		return
	}
	r := vector.NewRasterizer(box.Dx(), box.Dy())
	for _, at := range outlines {
		for i, p := range at {
			x, y := float32(p.X*pixels)-float32(box.Min.X), float32(p.Y*pixels)-float32(box.Min.Y)
			if i == 0 {
				r.MoveTo(x, y)
			} else {
				r.LineTo(x, y)
			}
		}
		r.ClosePath()
	}
	r.Draw(s.img, box, image.NewUniform(c), image.Point{})
}

func (s *pngSheet) fill(at []Point, c color.RGBA) { s.paint(c, at) }

func (s *pngSheet) dot(at Point, radius float64, c color.RGBA) { s.paint(c, circle(at, radius)) }

// circle is a polygon in the sense in which segment goes round.
func circle(at Point, radius float64) []Point {
	const n = 20
	out := make([]Point, n)
	for i := range out {
		a := -2 * math.Pi * float64(i) / n
		out[i] = Point{at.X + radius*math.Cos(a), at.Y + radius*math.Sin(a)}
	}
	return out
}

// segment is the outline of a straight line.
func segment(a, b Point, width float64) []Point {
	dx, dy := b.X-a.X, b.Y-a.Y
	n := math.Hypot(dx, dy)
	if n == 0 {
		return nil
	}
	x, y := -dy/n*width/2, dx/n*width/2
	return []Point{{a.X + x, a.Y + y}, {b.X + x, b.Y + y}, {b.X - x, b.Y - y}, {a.X - x, a.Y - y}}
}

func (s *pngSheet) line(at []Point, p pen) {
	var outlines [][]Point
	for _, part := range dashed(at, p.dash) {
		for i := 1; i < len(part); i++ {
			if o := segment(part[i-1], part[i], p.width); o != nil {
				outlines = append(outlines, o)
			}
			if i < len(part)-1 && p.width > 1 {
				outlines = append(outlines, circle(part[i], p.width/2))
			}
		}
	}
	if outlines != nil {
		s.paint(p.color, outlines...)
	}
}

// dashed cuts a line into its dashes.
func dashed(at []Point, dash []float64) [][]Point {
	if dash == nil || len(at) == 0 {
		return [][]Point{at}
	}
	var out [][]Point
	part, k, rest := []Point{at[0]}, 0, dash[0]
	for i := 1; i < len(at); i++ {
		a, b := at[i-1], at[i]
		for n := math.Hypot(b.X-a.X, b.Y-a.Y); n > rest; n = math.Hypot(b.X-a.X, b.Y-a.Y) {
			a = Point{a.X + (b.X-a.X)*rest/n, a.Y + (b.Y-a.Y)*rest/n}
			if k%2 == 0 {
				out = append(out, append(part, a))
			}
			k++
			part, rest = []Point{a}, dash[k%len(dash)]
		}
		rest -= math.Hypot(b.X-a.X, b.Y-a.Y)
		part = append(part, b)
	}
	if k%2 == 0 {
		out = append(out, part)
	}
	return out
}

func (s *pngSheet) text(at Point, t string, w words) {
	d := font.Drawer{Dst: s.img, Src: image.NewUniform(w.color), Face: s.faces[w.size]}
	x := grid.Int26_6(at.X * pixels * 64)
	x -= grid.Int26_6(w.anchor) * d.MeasureString(t) / 2
	d.Dot = grid.Point26_6{X: x, Y: grid.Int26_6(at.Y * pixels * 64)}
	d.DrawString(t)
}
