package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"
)

// svgSheet writes an SVG file.
type svgSheet struct{ b bytes.Buffer }

func newSVGSheet(w, h float64) *svgSheet {
	s := &svgSheet{}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %[1]s %[2]s" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif">`+"\n", place(w), place(h))
	fmt.Fprintf(&s.b, `<rect width="%s" height="%s" fill="%s"/>`+"\n", place(w), place(h), hex(paper))
	return s
}

func (s *svgSheet) bytes() []byte { return append(s.b.Bytes(), "</svg>\n"...) }

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (s *svgSheet) line(at []Point, p pen) {
	if len(at) == 0 {
		return
	}
	dash := ""
	if p.dash != nil {
		dash = ` stroke-dasharray="` + strings.Trim(fmt.Sprint(p.dash), "[]") + `"`
	}
	fmt.Fprintf(&s.b, `<path fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"%s d="%s"/>`+"\n", hex(p.color), place(p.width), dash, Stroke{Points: at}.D())
}

func (s *svgSheet) fill(at []Point, c color.RGBA) {
	if len(at) > 0 {
		fmt.Fprintf(&s.b, `<path fill="%s" d="%s"/>`+"\n", hex(c), Stroke{Points: at, Closed: true}.D())
	}
}

func (s *svgSheet) dot(at Point, radius float64, c color.RGBA) {
	fmt.Fprintf(&s.b, `<circle cx="%s" cy="%s" r="%s" fill="%s"/>`+"\n", place(at.X), place(at.Y), place(radius), hex(c))
}

func (s *svgSheet) text(at Point, t string, w words) {
	if t == "" {
		return
	}
	weight := ""
	if w.bold {
		weight = ` font-weight="600"`
	}
	fmt.Fprintf(&s.b, `<text x="%s" y="%s" font-size="%s" fill="%s" text-anchor="%s"%s>%s</text>`+"\n", place(at.X), place(at.Y), place(w.size), hex(w.color),
		[]string{"start", "middle", "end"}[w.anchor], weight, html.EscapeString(t))
}
