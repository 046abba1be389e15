package report

import (
	"slices"

	"github.com/ecospa/ecospa/pkg/train"
)

// drawnLayers is how many layers of a run are drawn.
const drawnLayers = 6

// layerCharts are gradient norm and update ratio of a run's layers, of at most drawnLayers of
// them, the first and the last among them. Several runs have none.
func layerCharts(runs []*Run, x func(train.Record) float64, name string) []Chart {
	if len(runs) != 1 || runs[0] == nil {
		return nil
	}
	var names []string
	for _, s := range runs[0].Steps {
		for _, n := range s.Layers {
			if !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
		if len(names) > 0 {
			break
		}
	}
	if n := len(names); n > drawnLayers {
		for i := range drawnLayers {
			names[i] = names[i*(n-1)/(drawnLayers-1)]
		}
		names = names[:drawnLayers]
	}
	draw := func(key, title string, of func(train.LayerNorm) float64) Chart {
		c := Chart{Key: key, Title: title, Unit: "log scale", X: name, LogY: true, Format: number, Named: true}
		for k, layer := range names {
			l := points(runs[0], x, func(s train.Record) (float64, bool) {
				at := slices.IndexFunc(s.Layers, func(n train.LayerNorm) bool { return n.Name == layer })
				if at < 0 {
					return 0, false
				}
				v := of(s.Layers[at])
				return v, v > 0
			})
			l.X, l.Y = thin(l.X, l.Y)
			if l.Name, l.Style = layer, k; len(l.X) > 0 {
				c.Curves = append(c.Curves, l)
			}
		}
		return c
	}
	return []Chart{
		draw("layer-gradient-norm", "Gradient norm by layer", func(n train.LayerNorm) float64 { return n.Grad }),
		draw("layer-update-ratio", "Update ratio by layer", func(n train.LayerNorm) float64 { return n.Update }),
	}
}

// preferences are the charts of runs that learn from pairs of answers.
func preferences(runs []*Run, all func(Chart, func(*Run) Curve) Chart, x func(train.Record) float64) []Chart {
	of := func(c Chart, value func(*train.Rewards) float64) Chart {
		get := func(r *train.Rewards) (float64, bool) {
			if r == nil {
				return 0, false
			}
			return value(r), true
		}
		c = all(c, func(r *Run) Curve {
			k := points(r, x, func(s train.Record) (float64, bool) { return get(s.Rewards) })
			k.X, k.Y = thin(k.X, k.Y)
			return k
		})
		for i, r := range runs {
			if r == nil {
				continue
			}
			v := points(r, x, func(s train.Record) (float64, bool) { return get(s.ValRewards) })
			if v.Style = i; len(v.X) > 0 {
				c.Points = append(c.Points, v)
			}
		}
		return c
	}
	return []Chart{
		of(Chart{Key: "reward-margin", Title: "Margin of rewards", Unit: "chosen minus rejected; dots are held-out pairs", Format: number}, func(r *train.Rewards) float64 { return r.Margin }),
		of(Chart{Key: "pairs-in-order", Title: "Pairs in order", Unit: "share; dots are held-out pairs", Format: number}, func(r *train.Rewards) float64 { return r.Accuracy }),
	}
}
