package lab

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// CompareRow is one method at one budget, over the seeds. A spread is the sample
// standard deviation, 0 for one seed.
type CompareRow struct {
	Method    string  `json:"method"`
	Budget    string  `json:"budget"` // what stays; empty for the dense model
	Seeds     int     `json:"seeds"`
	Params    float64 `json:"params"`    // mean
	Removed   float64 `json:"removed"`   // share of the prunable parameters, mean
	Loss      Spread  `json:"loss"`      // nats a held-out token or image, after the cut
	Increase  Spread  `json:"increase"`  // over the dense model of the same seed
	Recovered *Spread `json:"recovered"` // loss after the training behind the cut; null without
	// Behind is the loss after recovery over that of the dense model with the same steps.
	Behind *Spread `json:"behind"`
}

// Spread is a mean and its sample standard deviation.
type Spread struct {
	Mean   float64 `json:"mean"`
	Spread float64 `json:"spread"`
}

// CompareResult is what bench compare prints with --json.
type CompareResult struct {
	Out     string        `json:"out"`
	Rows    []CompareRow  `json:"rows"`
	Cells   []CompareCell `json:"cells"`
	Made    int           `json:"made"` // cells made by this command; the others were there
	Seconds float64       `json:"seconds"`
}

func spread(x []float64) (s Spread) {
	for _, v := range x {
		s.Mean += v / float64(len(x))
	}
	if len(x) > 1 {
		for _, v := range x {
			s.Spread += (v - s.Mean) * (v - s.Mean) / float64(len(x)-1)
		}
		s.Spread = math.Sqrt(s.Spread)
	}
	return s
}

// tabulate makes the rows, in the file's order.
func tabulate(c config.Compare, cells []CompareCell) *CompareResult {
	r := &CompareResult{Out: c.Out, Cells: cells}
	dense := map[uint64]CompareCell{}
	for _, x := range cells {
		if x.Method == config.Dense {
			dense[x.Seed] = x
		}
	}
	r.add(config.Dense, "", dense)
	for _, m := range c.Methods {
		for _, b := range c.Budgets {
			r.add(m.Name, b, dense)
		}
	}
	return r
}

func (r *CompareResult) add(method, budget string, dense map[uint64]CompareCell) {
	row := CompareRow{Method: method, Budget: budget}
	var loss, increase, recovered, behind, params, removed []float64
	for _, x := range r.Cells {
		if x.Method != method || x.Budget != budget {
			continue
		}
		d := dense[x.Seed]
		loss, increase = append(loss, x.Loss), append(increase, x.Loss-d.Loss)
		params, removed = append(params, float64(x.Params)), append(removed, x.Removed)
		if x.Recovered != nil && d.Recovered != nil {
			recovered, behind = append(recovered, *x.Recovered), append(behind, *x.Recovered-*d.Recovered)
		}
	}
	row.Seeds, row.Loss, row.Increase = len(loss), spread(loss), spread(increase)
	row.Params, row.Removed = spread(params).Mean, spread(removed).Mean
	if len(recovered) > 0 {
		a, b := spread(recovered), spread(behind)
		row.Recovered, row.Behind = &a, &b
	}
	r.Rows = append(r.Rows, row)
}

func (s *Spread) show(format string) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(format+" ± "+strings.ReplaceAll(format, "+", ""), s.Mean, s.Spread)
}

// markdown is the table.
func (r *CompareResult) Markdown() string {
	var b strings.Builder
	b.WriteString("| method | stays | parameters | loss | over dense | after recovery | over dense with the same steps |\n|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %s | %s | %s | %s |\n", x.Method, x.Budget, x.Params,
			x.Loss.show("%.4f"), x.Increase.show("%.4f"), x.Recovered.show("%.4f"), x.Behind.show("%.4f"))
	}
	fmt.Fprintf(&b, "\nMean and sample standard deviation over %d seeds; losses in nats a held-out token or image.\n", r.Rows[0].Seeds)
	return b.String()
}

// Text is the table and where the files are.
func (r *CompareResult) Text() string {
	return fmt.Sprintf("%s\n%d cells (%d made now, in %.0f s); %s/table.md, table.csv, result.json, plot.svg, plot.png\n", r.Markdown(), len(r.Cells), r.Made, r.Seconds, r.Out)
}

func (r *CompareResult) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"method", "budget", "seeds", "params", "removed", "loss", "loss_spread", "increase", "increase_spread", "recovered", "recovered_spread", "behind", "behind_spread"})
	num := func(x float64) string { return strconv.FormatFloat(x, 'g', 8, 64) }
	two := func(s *Spread) []string {
		if s == nil {
			return []string{"", ""}
		}
		return []string{num(s.Mean), num(s.Spread)}
	}
	for i := range r.Rows {
		x := &r.Rows[i]
		row := []string{x.Method, x.Budget, strconv.Itoa(x.Seeds), num(x.Params), num(x.Removed)}
		for _, s := range []*Spread{&x.Loss, &x.Increase, x.Recovered, x.Behind} {
			row = append(row, two(s)...)
		}
		w.Write(row)
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// figure is the increase over the dense model against the share removed.
func (r *CompareResult) figure() report.Chart {
	f := report.Chart{Title: "one shot, no recovery", X: "fraction of the prunable parameters removed", Unit: "loss over dense, nats", LogY: true}
	at := map[string]int{}
	for _, x := range r.Rows {
		if x.Budget == "" {
			continue
		}
		i, ok := at[x.Method]
		if !ok {
			i = len(f.Curves)
			at[x.Method] = i
			f.Curves = append(f.Curves, report.Curve{Name: x.Method, Style: i, Dots: true})
		}
		c := &f.Curves[i]
		c.X, c.Y = append(c.X, x.Removed), append(c.Y, x.Increase.Mean)
		// A bar that reaches below 0 has no place on the axis.
		c.Low = append(c.Low, max(x.Increase.Mean-x.Increase.Spread, x.Increase.Mean/2))
		c.High = append(c.High, x.Increase.Mean+x.Increase.Spread)
	}
	return f
}

// write leaves the table, as Markdown, CSV and JSON, and the plot in dir.
func (r *CompareResult) write(dir string) error {
	table, err := r.csv()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{"table.md": []byte(r.Markdown()), "table.csv": table, "result.json": append(text, '\n')}
	for _, name := range []string{"plot.svg", "plot.png"} {
		if files[name], err = r.figure().Encode(name, 760, 520); err != nil {
			return err
		}
	}
	for name, b := range files {
		if err := checkpoint.WriteFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}
