package coupled

// Row is one line of a plan's table: what happens to one group.
type Row struct {
	Layer   int     `json:"layer"`
	Kind    Kind    `json:"kind"`
	Units   int     `json:"units"` // of each list, before
	Keep    int     `json:"keep"`  // after
	Lists   int     `json:"lists"`
	Removed float64 `json:"removed_mass"`  // share of the score mass that goes
	Before  int     `json:"params_before"` // parameters that carry the group's units
	After   int     `json:"params_after"`
}

// Rows is the plan as a table, by layer and kind.
func (p *Plan) Rows() []Row {
	rows := make([]Row, len(p.Decisions))
	for i, d := range p.Decisions {
		rows[i] = Row{
			Layer: d.Layer, Kind: d.Kind, Units: d.Units, Keep: d.Keep, Lists: len(d.Kept),
			Removed: d.Removed, Before: d.Before, After: d.After,
		}
	}
	return rows
}

// Totals is the table summed over layers, one row a kind, Layer -1: Units and Keep
// count all lists of all layers, Lists is 1, Removed is the mean over layers.
func (p *Plan) Totals() []Row {
	var out []Row
	for _, k := range Kinds() {
		t, n := Row{Layer: -1, Kind: k, Lists: 1}, 0
		for _, r := range p.Rows() {
			if r.Kind == k {
				t.Units += r.Units * r.Lists
				t.Keep += r.Keep * r.Lists
				t.Removed += r.Removed
				t.Before += r.Before
				t.After += r.After
				n++
			}
		}
		if n > 0 {
			t.Removed /= float64(n)
			out = append(out, t)
		}
	}
	return out
}
