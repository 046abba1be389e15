package lab

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// FrontierResult is what bench frontier prints with --json.
type FrontierResult struct {
	Out    string        `json:"out"`
	FLOPs  float64       `json:"flops"`          // operations of training that each way may take
	Target int           `json:"params"`         // of the pruned models
	Corpus int           `json:"text_tokens"`    // of the training part
	Rows   []FrontierRow `json:"rows"`           // big, the shapes, what is pruned, the plan from new weights, late
	Best   string        `json:"best"`           // row with the lowest mean loss over all seeds, of those about as large as the pruned ones
	Follow *bool         `json:"follow_average"` // every row is where its average number of parameters says; null where none was judged
	Made   int           `json:"made"`           // results made by this command; the others were there
	Whole  bool          `json:"complete"`       // no row is missing
	Dates  string        `json:"date"`           // of the newest result
	Where  []string      `json:"machines"`
	Hours  float64       `json:"hours"` // of all runs
	Load   float64       `json:"load"`  // highest of the machine where other programs ran: then seconds say little; else 0
}

// FrontierRow is one way, with the rate and beta2 that were the best with the first seed.
type FrontierRow struct {
	Name    string  `json:"name"`
	Seeds   int     `json:"seeds"` // 1 of shapes that another one beat with the first seed
	LR      float64 `json:"lr"`
	Beta2   float64 `json:"beta2"`
	Edge    bool    `json:"edge"`           // the best rate is the lowest or the highest that was tried
	Loss    *Spread `json:"loss"`           // nats a held-out token; null where training diverged
	Behind  *Spread `json:"over_small"`     // loss over the best small shape's, seed by seed; null where one has no loss or one seed
	Params  Spread  `json:"params"`         // at the end
	Average Spread  `json:"average_params"` // over the tokens of training
	FLOPs   Spread  `json:"flops"`
	Tokens  Spread  `json:"tokens"`  // of training
	Seconds Spread  `json:"seconds"` // of steps, and of pruning after them
	// Predicted is the loss of a dense model with the average number of parameters at the same
	// operations: between the best small shape and the big one, linear in the logarithm; null of dense models.
	Predicted *float64 `json:"predicted"`
	// Follows says whether the loss is within the spreads of that; null where there are no spreads.
	Follows *bool         `json:"follows"`
	Tried   []FrontierTry `json:"tried"` // with the first seed
	Cells   []PaperCell   `json:"cells"` // one a seed, with figures loss, params, average, flops, tokens and seconds
}

// FrontierTry is one setting of a sweep.
type FrontierTry struct {
	LR    float64  `json:"lr"`
	Beta2 float64  `json:"beta2"`
	Loss  *float64 `json:"loss"` // null where training diverged
}

func newFrontierTry(t tried, c PaperCell) FrontierTry {
	out := FrontierTry{LR: t.lr, Beta2: t.beta2}
	if x := lossOf(c); !math.IsInf(x, 0) {
		out.Loss = &x
	}
	return out
}

// finish sums up the cells; small is the row of the best small shape, below 0 where there is none yet.
func (r *FrontierResult) finish(small int) {
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Seeds, row.Loss = len(row.Cells), row.over(nil)
		for _, c := range row.Cells {
			r.Dates, r.Load = max(r.Dates, c.Made), max(r.Load, c.Load)
			if !slices.Contains(r.Where, c.Machine) {
				r.Where = append(r.Where, c.Machine)
			}
		}
		for _, f := range []struct {
			to   *Spread
			name string
		}{{&row.Params, figParams}, {&row.Average, figAverage}, {&row.FLOPs, figFLOPs}, {&row.Tokens, figTokens}, {&row.Seconds, figSeconds}} {
			var x []float64
			for _, c := range row.Cells {
				x = append(x, c.Figures[f.name])
			}
			*f.to = spread(x)
		}
	}
	best := math.Inf(1)
	for i := range r.Rows {
		row := &r.Rows[i]
		if i > 0 && row.Loss != nil && row.Seeds == r.Rows[0].Seeds && row.Loss.Mean < best {
			best, r.Best = row.Loss.Mean, row.Name
		}
		if small < 0 {
			continue
		}
		if row.Seeds == r.Rows[small].Seeds && i != small {
			row.Behind = row.over(&r.Rows[small])
		}
		row.predict(r.Rows[0], r.Rows[small])
		if row.Follows != nil {
			all := *row.Follows && (r.Follow == nil || *r.Follow)
			r.Follow = &all
		}
	}
}

// over is the loss over another row's, seed by seed, or the loss; nil where one is missing.
func (r *FrontierRow) over(other *FrontierRow) *Spread {
	var x []float64
	for i, c := range r.Cells {
		loss := lossOf(c)
		if other != nil {
			loss -= lossOf(other.Cells[i])
		}
		if math.IsInf(loss, 0) || math.IsNaN(loss) {
			return nil
		}
		x = append(x, loss)
	}
	s := spread(x)
	return &s
}

// predict fills in what the average number of parameters says, and whether it is so.
func (r *FrontierRow) predict(big, small FrontierRow) {
	n := r.Average.Mean
	if r.Loss == nil || big.Loss == nil || small.Loss == nil || n <= 0 || r.dense() {
		return
	}
	share := math.Log(n/small.Params.Mean) / math.Log(big.Params.Mean/small.Params.Mean)
	x := small.Loss.Mean + share*(big.Loss.Mean-small.Loss.Mean)
	r.Predicted = &x
	if r.Seeds > 1 {
		within := math.Hypot(r.Loss.Spread, max(big.Loss.Spread, small.Loss.Spread))
		follows := math.Abs(r.Loss.Mean-x) <= within
		r.Follows = &follows
	}
}

// dense reports whether the parameters were the same throughout.
func (r *FrontierRow) dense() bool { return r.Average.Mean == r.Params.Mean }

// Markdown is the tables, and what they say.
func (r *FrontierResult) Markdown() string {
	var b strings.Builder
	b.WriteString("| way | parameters | average | loss | over the best small | from the average | rate, beta2 | operations | tokens a parameter | text read | seconds |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		predicted := ""
		if x.Predicted != nil {
			predicted = fmt.Sprintf("%.4f", *x.Predicted)
		}
		if x.Follows != nil {
			predicted += map[bool]string{true: " (so)", false: " (**not so**)"}[*x.Follows]
		}
		rate := fmt.Sprintf("%g, %g", x.LR, x.Beta2)
		if x.Edge {
			rate += " (edge)"
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %s | %s | %s | %s | %.3f | %.1f | %.2fx | %.1f |\n", x.Name, x.Params.Mean, x.Average.Mean,
			x.losses(), x.Behind.show("%+.4f"), predicted, rate, x.FLOPs.Mean/r.FLOPs, x.Tokens.Mean/max(1, x.Params.Mean), x.Tokens.Mean/float64(r.Corpus), x.Seconds.Mean)
	}
	fmt.Fprintf(&b, "\nLosses in nats a held-out token, mean ± sample standard deviation over seeds (one seed: a shape that another beat). Operations are those of %sFLOP; average is the number of parameters over the tokens of training;\n", units.Count(r.FLOPs))
	b.WriteString("\"from the average\" is the loss of a dense model of so many parameters, between the best small shape and the big one by the logarithm; edge: the best rate is the lowest or highest that was tried.\n")
	fmt.Fprintf(&b, "Lowest of those of the pruned size: %s.", r.Best)
	if r.Follow != nil {
		fmt.Fprintf(&b, " Loss %s the average number of parameters.", map[bool]string{true: "follows", false: "does not follow"}[*r.Follow])
	}
	if !r.Whole {
		b.WriteString(" **Not finished: rows or seeds are missing.**")
	}
	b.WriteString("\n")
	r.sweeps(&b)
	fmt.Fprintf(&b, "\n%s; %s; %s of runs.", r.Dates, strings.Join(r.Where, "; "), units.Clock(units.Seconds(3600*r.Hours)))
	if r.Load > 0 {
		fmt.Fprintf(&b, " The machine was busy (load %.1f): seconds say little.", r.Load)
	}
	b.WriteString("\n")
	return b.String()
}

// Text is the tables and where the files are.
func (r *FrontierResult) Text() string {
	return r.Markdown() + "\n" + filepath.Join(r.Out, "{frontier.md,result.json}") + "\n"
}

// losses is the loss with the number of seeds where that is one.
func (r *FrontierRow) losses() string {
	switch {
	case r.Loss == nil:
		return "diverged"
	case r.Seeds == 1:
		return fmt.Sprintf("%.4f", r.Loss.Mean)
	}
	return r.Loss.show("%.4f")
}

// sweeps is what was tried with the first seed.
func (r *FrontierResult) sweeps(b *strings.Builder) {
	b.WriteString("\n| way | rate, beta2: loss, first seed |\n|---|---|\n")
	for _, x := range r.Rows {
		var all []string
		for _, t := range x.Tried {
			loss := "diverged"
			if t.Loss != nil {
				loss = fmt.Sprintf("%.4f", *t.Loss)
			}
			all = append(all, fmt.Sprintf("%g, %g: %s", t.LR, t.Beta2, loss))
		}
		fmt.Fprintf(b, "| %s | %s |\n", x.Name, strings.Join(all, "; "))
	}
}

// write leaves the table and the result in Out.
func (r *FrontierResult) write() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFile(filepath.Join(r.Out, "frontier.md"), []byte(r.Markdown())); err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(r.Out, "result.json"), append(text, '\n'))
}
