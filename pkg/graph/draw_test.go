package graph

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"
)

// drawn is the drawing as a reader of SVG sees it.
type drawn struct {
	XMLName xml.Name `xml:"svg"`
	Width   int      `xml:"width,attr"`
	Height  int      `xml:"height,attr"`
	Boxes   []struct {
		Title string `xml:"title"`
		Rect  struct {
			X      int    `xml:"x,attr"`
			Y      int    `xml:"y,attr"`
			Width  int    `xml:"width,attr"`
			Height int    `xml:"height,attr"`
			Fill   string `xml:"fill,attr"`
		} `xml:"rect"`
		Text []string `xml:"text"`
	} `xml:"g"`
}

func TestDrawSVG(t *testing.T) {
	m := newToy(t, "lg")
	mc, _ := m.run(t, 1, LowerOptions{Taps: true, Recompute: RecomputeAttention})
	var b bytes.Buffer
	ok(t, mc.Plan().WriteSVG(&b))
	if path := os.Getenv("GRAPH_SVG"); path != "" { // to look at it
		ok(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	var d drawn
	ok(t, xml.Unmarshal(b.Bytes(), &d))
	for dec := xml.NewDecoder(&b); ; { // well-formed to the end
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	fills := map[string]int{}
	for i, box := range d.Boxes {
		r := box.Rect
		fills[r.Fill]++
		if r.X < 0 || r.Y < 0 || r.X+r.Width > d.Width || r.Y+r.Height > d.Height || len(box.Text) != 2 || box.Title == "" {
			t.Errorf("box %q at %d %d is outside %d x %d, or has no text", box.Title, r.X, r.Y, d.Width, d.Height)
		}
		for _, o := range d.Boxes[:i] {
			if q := o.Rect; r.X < q.X+q.Width && q.X < r.X+r.Width && r.Y < q.Y+q.Height && q.Y < r.Y+r.Height {
				t.Errorf("%q lies over %q", box.Title, o.Title)
			}
		}
	}
	for _, c := range legend {
		if fills[c.fill] == 0 {
			t.Errorf("no box shows %s", c.words)
		}
	}
	if want := len(mc.Plan().Steps); len(d.Boxes) < want {
		t.Errorf("%d boxes for %d steps", len(d.Boxes), want)
	}
}

func TestDrawDOT(t *testing.T) {
	m := newToy(t, "lg")
	mc, _ := m.run(t, 1, LowerOptions{})
	var b strings.Builder
	ok(t, mc.Plan().WriteDOT(&b))
	text := b.String()
	edges := 0
	for _, s := range mc.Plan().Steps {
		edges += len(s.In)
	}
	if n := strings.Count(text, "->"); n != edges {
		t.Errorf("%d edges, expected %d", n, edges)
	}
	if n := strings.Count(text, "fillcolor"); n != len(mc.Plan().Steps)+len(mc.Plan().Leaves) {
		t.Errorf("%d nodes, expected %d", n, len(mc.Plan().Steps)+len(mc.Plan().Leaves))
	}
	if !strings.HasPrefix(text, "digraph plan {") || !strings.HasSuffix(text, "}\n") || strings.Count(text, `"`)%2 != 0 {
		t.Errorf("not a graph: %.80s", text)
	}
}
