package graph

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Sizes of the drawing, in pixels.
const (
	svgTop    = 70 // legend
	svgHeight = 36 // of a box
	svgRow    = 48 // from a box to the next
	svgMargin = 20
)

// svgColumns are the columns of a drawing: what a step reads, the forward pass,
// the gradients beside the values that they belong to, parameters' gradients, gates.
var svgColumns = [...]struct{ x, width int }{{svgMargin, 130}, {200, 250}, {510, 250}, {810, 250}, {1090, 200}}

const (
	columnLeaf = iota
	columnForward
	columnBackward
	columnParameter
	columnEvidence
)

// svgBox is a place in the drawing, the rank-th from above in its column.
type svgBox struct{ x, y, w, rank int }

func (b svgBox) middle() int { return b.y + svgHeight/2 }

// WriteSVG writes the plan as a drawing that needs no other program: the forward
// pass runs down the left, the backward pass up the right, each gradient beside
// the operation it belongs to, with the parameters' gradients and gates after them.
// Solid lines are operands, dashed ones values of the forward pass that the
// backward pass reads; pointing at a box shows its attributes, memory and life.
func (p *Plan) WriteSVG(w io.Writer) error {
	boxes, leaves, height := p.layout()
	b := bufio.NewWriter(w)
	last := svgColumns[len(svgColumns)-1]
	width := last.x + last.width + svgMargin
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica,Arial,sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(b, `<text x="%d" y="22" font-size="13">%s</text>`+"\n", svgMargin, xmlText(p.summary()))
	b.WriteString(`<defs><marker id="tip" markerWidth="7" markerHeight="6" refX="7" refY="3" orient="auto"><path d="M0 0 L7 3 L0 6 z" fill="#446"/></marker></defs>` + "\n")
	x := svgMargin
	for _, c := range legend {
		fmt.Fprintf(b, `<rect x="%d" y="34" width="14" height="14" fill="%s" stroke="#666"/><text x="%d" y="45">%s</text>`+"\n", x, c.fill, x+20, xmlText(c.words))
		x += 40 + 6*len(c.words)
	}
	p.drawEdges(b, boxes)
	for _, l := range leaves {
		drawBox(b, l.box, p.Leaves[l.leaf].colour(), p.Leaves[l.leaf].Name, shapeText(p.Leaves[l.leaf].Shape), p.Leaves[l.leaf].Name)
		line(b, l.box.x+l.box.w, l.box.middle(), boxes[l.step].x, boxes[l.step].middle(), false)
	}
	for i, box := range boxes {
		drawBox(b, box, p.colour(i), p.Steps[i].Op(), p.caption(i), p.details(i))
	}
	b.WriteString("</svg>\n")
	return b.Flush()
}

// svgLeaf is a leaf beside a step of the forward pass that reads it.
type svgLeaf struct {
	leaf, step int
	box        svgBox
}

// layout gives every step a box, and every leaf one beside each of its readers in
// the forward pass.
func (p *Plan) layout() (boxes []svgBox, leaves []svgLeaf, height int) {
	boxes = make([]svgBox, len(p.Steps))
	// Rows belong to the forward pass; the rest goes beside, the first of the backward pass lowest.
	beside := make([][len(svgColumns)][]int, len(p.Steps))
	for i := len(p.Steps) - 1; i >= 0; i-- {
		s := p.Steps[i]
		column := columnBackward
		switch p.colour(i) {
		case colourParameter:
			column = columnParameter
		case colourEvidence:
			column = columnEvidence
		case colourForward:
			column = columnForward
		}
		beside[s.Of][column] = append(beside[s.Of][column], i)
	}
	y := svgTop
	var filled [len(svgColumns)]int
	for i, s := range p.Steps {
		if s.Phase != Forward {
			continue
		}
		tall := 1
		for column, steps := range beside[i] {
			for n, step := range steps {
				boxes[step] = svgBox{svgColumns[column].x, y + n*svgRow, svgColumns[column].width, filled[column]}
				filled[column]++
			}
			tall = max(tall, len(steps))
		}
		n := 0
		for _, in := range s.In {
			if in < 0 {
				leaves = append(leaves, svgLeaf{-1 - in, i, svgBox{svgColumns[columnLeaf].x, y + n*svgRow, svgColumns[columnLeaf].width, 0}})
				n++
			}
		}
		y += max(tall, n) * svgRow
	}
	return boxes, leaves, y + svgMargin
}

func (p *Plan) drawEdges(b *bufio.Writer, boxes []svgBox) {
	for i, s := range p.Steps {
		to := boxes[i]
		for _, in := range s.In {
			if in < 0 {
				continue
			}
			from := boxes[in]
			switch {
			case p.Steps[in].Phase == Forward && s.Phase != Forward:
				line(b, from.x+from.w, from.middle(), to.x, to.middle(), true)
			case from.x != to.x:
				line(b, from.x+from.w, from.middle(), to.x, to.middle(), false)
			case abs(from.rank-to.rank) == 1: // neighbours in a column
				y0, y1 := from.y+svgHeight, to.y
				if from.y > to.y {
					y0, y1 = from.y, to.y+svgHeight
				}
				line(b, from.x+from.w/2, y0, to.x+to.w/2, y1, false)
			default: // past others, along the left of the column
				bend := from.x - 12 - min(36, abs(from.y-to.y)/20)
				fmt.Fprintf(b, `<path d="M%d %d C%d %d %d %d %d %d" fill="none" stroke="#446" stroke-width="1.2" marker-end="url(#tip)"/>`+"\n",
					from.x, from.middle(), bend, from.middle(), bend, to.middle(), to.x, to.middle())
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }

func line(b *bufio.Writer, x0, y0, x1, y1 int, dashed bool) {
	style := `stroke="#446" stroke-width="1.2" marker-end="url(#tip)"`
	if dashed {
		style = `stroke="#aaa" stroke-width="0.8" stroke-dasharray="4 3"`
	}
	fmt.Fprintf(b, `<path d="M%d %d L%d %d" fill="none" %s/>`+"\n", x0, y0, x1, y1, style)
}

// drawBox draws a box with a bold and a plain line, and a text for the pointer.
func drawBox(b *bufio.Writer, at svgBox, c colour, head, caption, title string) {
	letters := (at.w - 12) * 10 / 52
	fmt.Fprintf(b, `<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s" stroke="#666"/>`,
		xmlText(title), at.x, at.y, at.w, svgHeight, c.fill)
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text><text x="%d" y="%d" font-size="9.5">%s</text></g>`+"\n",
		at.x+6, at.y+14, xmlText(clip(head, letters)), at.x+6, at.y+28, xmlText(clip(caption, letters)))
}

// clip shortens s to n letters.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
