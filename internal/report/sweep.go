package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// swept is the one key of the run files that differs between the runs, where it is a number
// and has at least two values; differing seeds do not count, runs of one value are repeats.
func swept(runs []*Run) (key string, values map[*Run]float64) {
	rows := slices.DeleteFunc(differences(runs).Rows, func(r ComparisonRow) bool { return strings.HasSuffix(r.Name, "seed") })
	if len(rows) != 1 {
		return "", nil
	}
	values = map[*Run]float64{}
	for i, cell := range rows[0].Cells {
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return "", nil
		}
		values[runs[i]] = v
	}
	return rows[0].Name, values
}

// sortBySweep sorts the runs of a sweep by what it varies, the least first; others stay as
// they are.
func sortBySweep(runs []*Run) {
	if _, at := swept(runs); at != nil {
		slices.SortStableFunc(runs, func(a, b *Run) int { return cmp.Compare(at[a], at[b]) })
	}
}

// sweep is the least validation loss of each run against what the sweep varies; false where
// the runs are no sweep of three values or have no validation loss.
func sweep(runs []*Run) (Chart, bool) {
	key, at := swept(runs)
	c := Chart{Key: "sweep", Title: "Least validation loss by " + key, Unit: "nats per token", X: key, Format: fixed(4)}
	sums, n := map[float64]float64{}, map[float64]float64{}
	for _, r := range runs {
		if loss := least(r.Facts()); at != nil && !math.IsNaN(loss) {
			sums[at[r]] += loss
			n[at[r]]++
		}
	}
	if len(sums) < 3 {
		return c, false
	}
	k := Curve{Name: "least validation loss", Dots: true}
	for x := range sums {
		k.X = append(k.X, x)
	}
	slices.Sort(k.X)
	for _, x := range k.X {
		k.Y = append(k.Y, sums[x]/n[x])
	}
	c.From, c.To, c.Curves = k.X[0], k.X[len(k.X)-1], []Curve{k}
	c.LogX = c.From > 0 && c.To > 5*c.From
	return c, true
}
