package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/config"
)

// Frontier makes what is missing of a comparison of ways to a small model at equal operations
// of training, and its table in file.Out. The file must be valid. Every training is a run
// directory and every result a file of its own: an interrupted call goes on where it stopped.
func Frontier(ctx context.Context, file config.Frontier, e Env) (*FrontierResult, error) {
	f := &frontier{Frontier: file, Env: e, ctx: ctx}
	if err := f.prepare(); err != nil {
		return nil, err
	}
	ways, err := f.ways()
	if err != nil {
		return nil, err
	}
	f.expect(len(ways))
	var r *FrontierResult
	var rows []FrontierRow
	small := -1 // the best of the shapes
	for i, w := range ways {
		row, err := f.sweep(w)
		if err == nil && w.shape == nil {
			err = f.repeat(w, &row)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		rows = append(rows, row)
		if w.shape != nil && (small < 0 || lossOf(row.Cells[0]) < lossOf(rows[small].Cells[0])) {
			small = i
		}
		if i == len(f.Shapes) { // the last of them
			if err := f.repeat(ways[small], &rows[small]); err != nil {
				return nil, fmt.Errorf("%s: %w", ways[small].name, err)
			}
		}
		r = f.result(rows, small)
		r.Whole = len(rows) == len(ways)
		if err := r.write(); err != nil { // after every row: the next ones can take hours
			return nil, err
		}
	}
	return r, nil
}

// result is the rows so far.
func (f *frontier) result(rows []FrontierRow, small int) *FrontierResult {
	r := &FrontierResult{Out: f.Out, FLOPs: f.budget, Target: f.goal.Params, Corpus: f.text, Rows: slices.Clone(rows), Made: f.made, Hours: f.seconds / 3600}
	r.finish(small)
	return r
}

// frontier is such a comparison under way.
type frontier struct {
	config.Frontier
	Env
	ctx context.Context

	context int // tokens of a sequence
	text    int // tokens of the training part
	models
	budget  float64 // operations of each way
	plans   map[uint64]tried
	pilots  map[string]cost // of the pruned ways, in the end
	made    int             // cells, by this call
	count   int             // cells in all, about
	there   int             // of them, so far
	took    float64         // seconds of those made
	seconds float64         // of all cells, whenever they were made
}

// way is one way to a model: one of its fields, or the big dense model.
type way struct {
	name   string
	shape  *config.FrontierShape
	pruned *config.FrontierPrune
	plan   bool // the shape of the first pruned one, from new weights
	late   *config.FrontierLate
}

// ways are all of them: those that need another's results come after it.
func (f *frontier) ways() (ways []way, err error) {
	ways = append(ways, way{name: config.FrontierBig})
	for i, s := range f.Shapes {
		ways = append(ways, way{name: s.Name, shape: &f.Shapes[i]})
	}
	for i, p := range f.Pruned {
		ways = append(ways, way{name: p.Name, pruned: &f.Pruned[i]})
		if i == 0 {
			ways = append(ways, way{name: config.FrontierPlan, plan: true})
		}
	}
	for i, l := range f.Late {
		ways = append(ways, way{name: l.Name, late: &f.Late[i]})
	}
	for _, w := range ways {
		if err := f.check(w); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return ways, nil
}

// tried is what one cell was made with.
type tried struct {
	lr, beta2 float64
	seed      uint64
}

func (t tried) String() string { return fmt.Sprintf("lr%g-b%g-%d", t.lr, t.beta2, t.seed) }

// settings are what a sweep tries: all at once, or first the rates and, with the best of them
// known, the other values of beta2.
func (f *frontier) settings(rate float64) (out []tried) {
	for _, b := range f.Beta2s {
		for _, lr := range f.LRs {
			first := b == f.Beta2s[0]
			if f.Grid && rate == 0 || !f.Grid && (first && rate == 0 || !first && lr == rate) {
				out = append(out, tried{lr, b, f.Seeds[0]})
			}
		}
	}
	return out
}

// sweep makes a way with every setting, and a row of the best with the first seed.
func (f *frontier) sweep(w way) (FrontierRow, error) {
	row := FrontierRow{Name: w.name}
	if w.pruned != nil {
		if err := f.pilot(w); err != nil {
			return row, fmt.Errorf("pilot: %w", err)
		}
	}
	add := func(all []tried) error {
		for _, t := range all {
			c, err := f.cell(w, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			row.Tried = append(row.Tried, newFrontierTry(t, c))
			if len(row.Cells) == 0 || lossOf(c) < lossOf(row.Cells[0]) {
				row.Cells, row.LR, row.Beta2 = []PaperCell{c}, t.lr, t.beta2
			}
		}
		return nil
	}
	if err := add(f.settings(0)); err != nil {
		return row, err
	}
	if err := add(f.settings(row.LR)); err != nil {
		return row, err
	}
	row.Edge = len(f.LRs) > 1 && (row.LR == f.LRs[0] || row.LR == f.LRs[len(f.LRs)-1])
	if w.pruned == &f.Pruned[0] {
		f.plans = map[uint64]tried{}
		for _, seed := range f.Seeds {
			f.plans[seed] = tried{row.LR, row.Beta2, seed}
		}
	}
	return row, nil
}

// repeat makes the best of a row with the other seeds.
func (f *frontier) repeat(w way, row *FrontierRow) error {
	for _, seed := range f.Seeds[1:] {
		c, err := f.cell(w, tried{row.LR, row.Beta2, seed})
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		row.Cells = append(row.Cells, c)
	}
	return nil
}

// expect counts the cells of so many ways, of which only the best shape has all seeds.
func (f *frontier) expect(ways int) {
	each := len(f.LRs) + len(f.Beta2s) - 1
	if f.Grid {
		each = len(f.LRs) * len(f.Beta2s)
	}
	f.count = len(f.Pruned) + ways*each + (ways-len(f.Shapes)+1)*(len(f.Seeds)-1)
	f.say("%d results of %sFLOP each, %s tokens of text", f.count, units.Count(f.budget), units.Count(float64(f.text)))
}

// progress says that a cell is there, and how long the others will take.
func (f *frontier) progress(name string, c PaperCell, made time.Duration) {
	f.there++
	f.seconds += c.Seconds
	if made == 0 {
		return
	}
	f.made++
	f.took += made.Seconds()
	f.say("%d of %d  %s: loss %.4f, %s; about %s left", f.there, f.count, name, lossOf(c), units.Clock(made),
		units.Clock(units.Seconds(f.took/float64(f.made)*float64(f.count-f.there))))
}
