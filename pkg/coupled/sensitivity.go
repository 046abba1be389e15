package coupled

import (
	"fmt"
	"math"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

func init() { registerAllocation(sensitivity{}) }

// shares are the removed shares at which sensitivity is measured, most telling
// first: where evaluations are bounded, the first few are used.
var shares = []float64{0.60, 0.30, 0.88, 0.45, 0.75, 0.15}

// Point is one measurement of sensitivity.
type Point struct {
	Removed float64 `json:"removed"` // share of the group's units
	Loss    float64 `json:"loss"`    // nats
}

// Curve is the loss against the removed share of one group (under the uniform
// layout: of one kind in all layers), the first point being the whole model.
type Curve struct {
	Kind   Kind
	Layers []int
	Dims   []string
	Points []Point
}

// trialWidths lists, for each cluster that is measured, the widths to measure, falling. Each
// gets as many of the shares as the bound on evaluations allows.
func (p *problem) trialWidths(sampled []bool) ([][]int, error) {
	count := p.measures()
	n := min((p.Config.Evaluations-1)/count, len(shares))
	if n < 1 {
		return nil, fmt.Errorf("prune.evaluations is %d, but measuring %d groups takes at least %d: raise it, name fewer prune.kinds, or choose another prune.allocation",
			p.Config.Evaluations, count, count+1)
	}
	out := make([][]int, len(p.clusters))
	for i, c := range p.clusters {
		if !sampled[i] {
			continue
		}
		seen := map[int]bool{c.units: true}
		for _, s := range shares[:n] {
			w := int(math.Round((1-s)*float64(c.units)/float64(c.multiple))) * c.multiple
			w = max(w, c.floor)
			if !seen[w] && w < c.units {
				seen[w] = true
				out[i] = append(out[i], w)
			}
		}
		sort.Sort(sort.Reverse(sort.IntSlice(out[i])))
	}
	return out, nil
}

// measure measures the curves of all clusters, or of those that are sampled, and fills in the others.
func (p *problem) measure() ([]Curve, error) {
	if p.Losses == nil {
		return nil, fmt.Errorf("%w: the allocation sensitivity needs a calibration loss, and there is none here", ErrEvidence)
	}
	sampled := p.sampled()
	widths, err := p.trialWidths(sampled)
	if err != nil {
		return nil, err
	}
	cuts := []param.Cut{{}}
	for i, c := range p.clusters {
		for _, w := range widths[i] {
			width := map[string]int{}
			for i, g := range c.groups {
				width[g.Dim] = w * c.of[i]
			}
			cuts = append(cuts, p.cut(width))
		}
	}
	losses, err := p.Losses(cuts)
	if err != nil {
		return nil, fmt.Errorf("measure the losses of %d trial cuts: %w", len(cuts), err)
	}
	var curves []Curve
	at := 1
	for i, c := range p.clusters {
		cv := Curve{Kind: c.kind, Points: []Point{{0, losses[0]}}}
		for _, g := range c.groups {
			cv.Layers, cv.Dims = append(cv.Layers, g.Layer), append(cv.Dims, g.Dim)
		}
		for _, w := range widths[i] {
			cv.Points = append(cv.Points, Point{1 - float64(w)/float64(c.units), losses[at]})
			at++
		}
		for _, x := range cv.Points {
			if math.IsNaN(x.Loss) || math.IsInf(x.Loss, 0) {
				return nil, fmt.Errorf("%w: the calibration loss with %.0f %% of %s cut is %g", ErrEvidence, 100*x.Removed, c.groups[0], x.Loss)
			}
		}
		curves = append(curves, cv)
	}
	p.fill(curves, sampled)
	return curves, nil
}

// sensitivity measures each group's loss against its removed share (Measure) and
// gives the budget to where it saves most: the greedy walk on the lower convex
// hulls of the interpolated curves, which is the best division of a budget among
// groups whose losses add up.
type sensitivity struct{}

func (sensitivity) name() string { return "sensitivity" }

func (sensitivity) widths(p *problem) (map[string]int, error) {
	if err := p.reachable(); err != nil {
		return nil, err
	}
	if p.measured == nil {
		var err error
		if p.measured, err = p.measure(); err != nil {
			return nil, err
		}
	}
	curves, sampled := p.measured, p.sampled()
	p.curves = map[string][]Point{}
	hulls := map[*cluster][]float64{}
	for i, c := range p.clusters {
		hulls[c] = curves[i].hull(c.units)
		for _, dim := range curves[i].Dims {
			if sampled[i] {
				p.curves[dim] = curves[i].Points
			}
		}
	}
	d := p.newGreedy()
	err := d.run(func(d *greedy, c *cluster, to, freed int) float64 {
		from := d.width[c.groups[0].Dim]
		if c.kind == Layer { // what its widths have cost is paid already
			paid := d.lostIn(c.groups[0].Layer, func(c *cluster) float64 { return hulls[c][c.units-d.width[c.groups[0].Dim]] })
			return (hulls[c][1] - paid) / float64(max(1, freed))
		}
		return (hulls[c][c.units-to] - hulls[c][c.units-from]) / float64(max(1, freed))
	})
	return d.width, err
}

// tilt, in nats, is added times the removed share squared, so that groups whose
// loss does not move share what goes instead of the first one giving all.
const tilt = 1e-6

// hull is the loss increase with 0 to units units removed: between the points
// the root of the increase is interpolated linearly (removal costs grow about
// quadratically), beyond the last one it is continued; increases are never below
// 0 and never fall; then the lower convex hull is taken.
func (c Curve) hull(units int) []float64 {
	xs, ys := []float64{0}, []float64{0}
	for _, p := range c.Points[1:] {
		y := math.Sqrt(max(0, p.Loss-c.Points[0].Loss))
		xs, ys = append(xs, p.Removed), append(ys, max(y, ys[len(ys)-1]))
	}
	f := make([]float64, units+1)
	seg := 0
	for k := range f {
		x := float64(k) / float64(units)
		for seg+2 < len(xs) && x > xs[seg+1] {
			seg++
		}
		y := 0.0
		if len(xs) > 1 {
			y = ys[seg] + (ys[seg+1]-ys[seg])*(x-xs[seg])/(xs[seg+1]-xs[seg])
		}
		f[k] = y*y + tilt*x*x
	}
	return lowerHull(f)
}

// lowerHull is the largest convex function below f on 0, 1, 2, ...
func lowerHull(f []float64) []float64 {
	var on []int // corners of the hull
	for k := range f {
		for len(on) >= 2 {
			a, b := on[len(on)-2], on[len(on)-1]
			if (f[b]-f[a])*float64(k-a) < (f[k]-f[a])*float64(b-a) {
				break
			}
			on = on[:len(on)-1]
		}
		on = append(on, k)
	}
	out := make([]float64, len(f))
	copy(out, f[:1])
	for i := 1; i < len(on); i++ {
		a, b := on[i-1], on[i]
		for k := a + 1; k <= b; k++ {
			out[k] = f[a] + (f[b]-f[a])*float64(k-a)/float64(b-a)
		}
	}
	return out
}
