package report

import (
	"math"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// maxLayers are the layers that a picture of widths shows.
const maxLayers = 96

// Widths is the layer-by-kind picture of what stays.
type Widths struct {
	Kinds []coupled.Kind
	Rows  []WidthRow
	More  int // layers that are not shown
}

// WidthRow is one layer.
type WidthRow struct {
	Layer int
	Cells []Cell // one a kind
}

// Cell is one layer's units of one kind over all events.
type Cell struct {
	Kind  string
	None  bool    // nothing was ever decided about it
	Was   int     // units of all lists before the first event
	Now   int     // after the last
	Share float64 // Now over Was
	Parts []Part
}

// Part is the share of units that an event removed, or that stays.
type Part struct {
	X, W  float64 // of 100
	Class string  // "kept", or "gone" with how long ago
	Label string
}

// widths follows every group through the plans.
func widths(plans []Plan) Widths {
	type place struct {
		layer int
		kind  coupled.Kind
	}
	history := map[place][]int{} // units before the first event, then after each
	layers, present := map[int]bool{}, map[coupled.Kind]bool{}
	var lost []int // layers that are gone, by their numbers before the first event
	for i, p := range plans {
		var losing []int
		for _, g := range p.Groups {
			layer := numberBefore(g.Layer, lost)
			if g.Kind == coupled.Layer && g.Keep == 0 {
				losing = append(losing, layer)
			}
			at := place{layer, g.Kind}
			h := history[at]
			for was := g.Units * g.Lists; len(h) <= i; {
				if len(h) > 0 {
					was = h[len(h)-1] // a plan that left the group out left it whole
				}
				h = append(h, was)
			}
			history[at] = append(h, g.Keep*g.Lists)
			layers[layer], present[g.Kind] = true, true
		}
		for at, h := range history {
			if slices.Contains(losing, at.layer) && at.kind != coupled.Layer {
				for len(h) <= i {
					h = append(h, h[len(h)-1])
				}
				history[at] = append(h[:i+1], 0) // its units go with it
			}
		}
		lost = append(lost, losing...)
		slices.Sort(lost)
	}
	var w Widths
	for _, k := range coupled.Kinds() {
		if present[k] {
			w.Kinds = append(w.Kinds, k)
		}
	}
	var order []int
	for l := range layers {
		order = append(order, l)
	}
	slices.Sort(order)
	if len(order) > maxLayers {
		w.More, order = len(order)-maxLayers, order[:maxLayers]
	}
	for _, l := range order {
		row := WidthRow{Layer: l}
		for _, k := range w.Kinds {
			row.Cells = append(row.Cells, cell(k, history[place{l, k}], plans))
		}
		w.Rows = append(w.Rows, row)
	}
	return w
}

// numberBefore is the number that a layer had before layers were lost.
func numberBefore(layer int, lost []int) int {
	for _, l := range lost {
		if l <= layer {
			layer++
		}
	}
	return layer
}

// cell is a bar: what stays on the left, then what went, the last event first.
func cell(k coupled.Kind, h []int, plans []Plan) Cell {
	c := Cell{Kind: string(k), None: len(h) == 0}
	if c.None || h[0] == 0 {
		return c
	}
	n := len(h) - 1
	c.Was, c.Now = h[0], h[n]
	c.Share = float64(c.Now) / float64(c.Was)
	at := 0.0
	part := func(units int, class, label string) {
		if units > 0 {
			w := 100 * float64(units) / float64(c.Was)
			c.Parts = append(c.Parts, Part{at, w, class, label})
			at += w
		}
	}
	part(c.Now, "kept", count(c.Now)+" of "+count(c.Was)+" stay")
	for i := n; i >= 1; i-- {
		class := "gone" + string(rune('0'+min(5, (i-1)*6/max(1, n))))
		part(h[i-1]-h[i], class, "step "+count(plans[i-1].Step)+": "+count(h[i-1])+" to "+count(h[i]))
	}
	return c
}

// ScoreRow is one layer of a picture of scores.
type ScoreRow struct {
	Layer int
	Cells []ScoreCell
}

// ScoreCell is a profile of scores, from the highest to the lowest, on the
// logarithmic scale that all layers of the kind share; right of the cut is what goes.
type ScoreCell struct {
	Kind       string
	Kept, Gone string  // areas in a frame of 100 x 32
	Cut        float64 // of 100
	Keep, Of   int     // units of a list
	Lists      int
	Removed    float64 // share of the score mass
}

// scores is the picture of one plan.
func (p Plan) scores() (kinds []coupled.Kind, rows []ScoreRow) {
	low, high := map[coupled.Kind]float64{}, map[coupled.Kind]float64{}
	layer := map[int]map[coupled.Kind]Group{}
	for _, g := range p.Groups {
		if len(g.Profile) == 0 {
			continue
		}
		if layer[g.Layer] == nil {
			layer[g.Layer] = map[coupled.Kind]Group{}
		}
		layer[g.Layer][g.Kind] = g
		top := g.Profile[0]
		high[g.Kind] = max(high[g.Kind], top)
		for _, x := range g.Profile {
			if x > 0 && (low[g.Kind] == 0 || x < low[g.Kind]) {
				low[g.Kind] = x
			}
		}
	}
	for _, k := range coupled.Kinds() {
		if _, ok := high[k]; ok {
			kinds = append(kinds, k)
		}
	}
	var order []int
	for l := range layer {
		order = append(order, l)
	}
	slices.Sort(order)
	for _, l := range order[:min(len(order), maxLayers)] {
		row := ScoreRow{Layer: l}
		for _, k := range kinds {
			g, ok := layer[l][k]
			if !ok {
				row.Cells = append(row.Cells, ScoreCell{Kind: string(k)})
				continue
			}
			// At most six decades: what is below lies on the floor.
			s := scale{max(low[k], high[k]/1e6) / 1.5, high[k], 31, 1, true}
			row.Cells = append(row.Cells, g.cell(s))
		}
		rows = append(rows, row)
	}
	return kinds, rows
}

func (g Group) cell(s scale) ScoreCell {
	c := ScoreCell{Kind: string(g.Kind), Keep: g.Keep, Of: g.Units, Lists: g.Lists, Removed: g.Removed}
	c.Cut = 100 * float64(g.Keep) / float64(g.Units)
	n := len(g.Profile)
	height := func(x float64) float64 { // at x of 100
		at := x / 100 * float64(n-1)
		i := min(int(at), max(0, n-2))
		a, b := s.at(g.Profile[i]), s.at(g.Profile[min(i+1, n-1)])
		return a + (b-a)*(at-float64(i))
	}
	region := func(lo, hi float64) string {
		if hi-lo < 0.05 {
			return ""
		}
		var b strings.Builder
		b.WriteString("M" + place(lo) + " 32L" + place(lo) + " " + place(height(lo)))
		for i := range n {
			if x := 100 * float64(i) / math.Max(1, float64(n-1)); x > lo && x < hi {
				b.WriteString("L" + place(x) + " " + place(height(x)))
			}
		}
		b.WriteString("L" + place(hi) + " " + place(height(hi)) + "L" + place(hi) + " 32Z")
		return b.String()
	}
	c.Kept, c.Gone = region(0, c.Cut), region(c.Cut, 100)
	return c
}
