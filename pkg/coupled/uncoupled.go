package coupled

import (
	"fmt"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// Zero is rows of one parameter to be set to zero.
type Zero struct {
	Param string
	Rows  []int // of the parameter's matrix, ascending; elements of a bias
}

// Uncoupled is the ablation: what the plan would remove from the pairs, removed
// from each matrix by its own ranking instead. Every matrix (of every query head, and
// of gate and up each) ranks its own rows by the diagonal Fisher information of
// that matrix alone, sum over the row and its bias of mean_n(g_w^2) w^2, and drops as
// many as the plan does. The rows of partners no longer line up, so they can only
// be zeroed: shapes stay. It needs evidence with Options.Squares.
func Uncoupled(set *param.Set, e *Evidence, plan *Plan) ([]Zero, error) {
	if err := plan.Validate(plan.Model.Family, set); err != nil {
		return nil, err
	}
	if n := len(set.LayerOrigin()); len(plan.Cut().Left(n)) < n {
		return nil, fmt.Errorf("%w: rows are zeroed one matrix at a time, which kind %s is not", ErrPlan, Layer)
	}
	value, err := (&Context{Set: set, Evidence: e}).diagonal()
	if err != nil {
		return nil, fmt.Errorf("rank uncoupled rows: %w", err)
	}
	rows := map[*param.Param]map[int]bool{}
	for _, g := range Groups(set) {
		for _, d := range plan.Decisions {
			if d.Dim == g.Dim && d.Keep < d.Units {
				g.uncouple(value, d.Units-d.Keep, rows)
			}
		}
	}
	var out []Zero
	for _, p := range set.Params {
		if len(rows[p]) == 0 {
			continue
		}
		z := Zero{Param: p.Name}
		for r := range rows[p] {
			z.Rows = append(z.Rows, r)
		}
		sort.Ints(z.Rows)
		out = append(out, z)
	}
	return out, nil
}

// uncouple marks the rows that each matrix of a group loses with n units.
func (g *Group) uncouple(value func(i int) float64, n int, rows map[*param.Param]map[int]bool) {
	matrices := map[string][]*param.Param{} // a matrix and its bias, by the matrix's name
	for _, p := range g.params {
		matrices[matrixOf(g, p)] = append(matrices[matrixOf(g, p)], p)
	}
	for _, m := range matrices {
		for l := range g.Lists {
			// [unit][query head]: ranges of the matrix and its bias
			type stretch struct {
				p     *param.Param
				at, n int
			}
			units := make([][][]stretch, g.Units)
			for _, p := range m {
				for u := range units {
					r := 0
					g.Rows(p, l, u, func(at, n int) {
						if r == len(units[u]) {
							units[u] = append(units[u], nil)
						}
						units[u][r] = append(units[u][r], stretch{p, at, n})
						r++
					})
				}
			}
			for r := range units[0] {
				scores := make([]float64, g.Units)
				for u := range units {
					for _, s := range units[u][r] {
						for i := s.at; i < s.at+s.n; i++ {
							scores[u] += value(s.p.Offset + i)
						}
					}
				}
				for _, u := range byScore(scores).units[:n] {
					for _, s := range units[u][r] {
						w := rowOf(g, s.p)
						if rows[s.p] == nil {
							rows[s.p] = map[int]bool{}
						}
						for i := s.at / w; i < (s.at+s.n)/w; i++ {
							rows[s.p][i] = true
						}
					}
				}
			}
		}
	}
}

// matrixOf names the matrix that a parameter is or is the bias of.
func matrixOf(g *Group, p *param.Param) string {
	if !isBias(g, p) {
		return p.Name
	}
	// A bias stands with the matrix of the same leading dimensions on its side;
	// gate and up have names of their own.
	for _, m := range g.params {
		if !isBias(g, m) && len(p.Name) > len(m.Name) && p.Name[:len(m.Name)] == m.Name {
			return m.Name
		}
	}
	return p.Name
}

// isBias reports whether a parameter has no width after its units.
func isBias(g *Group, p *param.Param) bool { return rowOf(g, p) == 1 }

// rowOf is the length of one row: the residual width for a matrix, 1 for a bias.
func rowOf(g *Group, p *param.Param) int {
	last := p.Dims[len(p.Dims)-1]
	if last.Name == "" || last.Per != "" || last.Name == g.Dim {
		return 1
	}
	return last.Size
}

// SetZero carries the rows out on the weights.
func SetZero(set *param.Set, zeros []Zero) error {
	groups := Groups(set)
	for _, z := range zeros {
		p := set.Param(z.Param)
		if p == nil {
			return fmt.Errorf("%w: no parameter %q", param.ErrCut, z.Param)
		}
		w := 1
		for i := range groups {
			if dimAt(p, groups[i].Dim) >= 0 && groups[i].Kind != Head {
				w = rowOf(&groups[i], p)
			}
		}
		data := p.Data()
		for _, r := range z.Rows {
			if r < 0 || r >= len(data)/w {
				return fmt.Errorf("%w: parameter %s has no row %d", param.ErrCut, p, r)
			}
			clear(data[r*w : (r+1)*w])
		}
	}
	return nil
}
