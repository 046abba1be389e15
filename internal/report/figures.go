package report

import "fmt"

// Figures are the plots of the runs, to be written as files: the charts of the
// page, and for each pruned run the share of units kept in every layer.
func Figures(runs []*Run, a Axes) ([]Chart, error) {
	out, err := charts(runs, a)
	if err != nil {
		return nil, err
	}
	for i, r := range runs {
		w := widths(r.Plans)
		if len(w.Rows) == 0 {
			continue
		}
		c := Chart{Key: "widths", Title: "Kept units, " + r.Name, X: "layer", Unit: "share"}
		for k, kind := range w.Kinds {
			l := Curve{Name: string(kind), Style: k, Dots: true}
			for _, row := range w.Rows {
				if cell := row.Cells[k]; !cell.None {
					l.X, l.Y = append(l.X, float64(row.Layer)), append(l.Y, cell.Share)
				}
			}
			c.Curves = append(c.Curves, l)
		}
		if len(runs) > 1 {
			c.Key = fmt.Sprintf("widths-%d", i+1)
		}
		out = append(out, c)
	}
	return out, nil
}
