package cmd

import (
	"fmt"
	"io"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/train"
)

// EvidenceCost is what bench step --evidence-cost prints with --json.
type EvidenceCost struct {
	Model string  `json:"model"`
	Pairs int     `json:"pairs"`
	Plain float64 `json:"ms"`          // median of a step without evidence
	With  float64 `json:"evidence_ms"` // and with it
	Cost  float64 `json:"cost"`        // median over the pairs of one over the other, less 1
}

// RunEvidenceCost times pairs of training steps on the same weights, one without
// evidence and one that gathers it.
func RunEvidenceCost(o BenchOptions, out io.Writer) error {
	m, set, err := o.build()
	if err != nil {
		return err
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	var loops [2]*train.Loop
	for i := range loops {
		o.Evidence = i == 1
		if loops[i], err = o.loop(m, set, pool); err != nil {
			return err
		}
		defer loops[i].Close()
	}
	var ms [2][]float64
	var ratio []float64
	for round := range o.Steps + 1 {
		order := []int{0, 1}
		if round%2 == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			l := loops[i]
			l.Steps = l.Step + 1
			if err := l.Run(benchContext); err != nil {
				return err
			}
			if round > 0 { // the first touches memory
				ms[i] = append(ms[i], l.Last.Ms)
			}
		}
		if n := len(ms[0]); n > 0 {
			ratio = append(ratio, ms[1][n-1]/ms[0][n-1])
		}
	}
	r := EvidenceCost{Model: o.Model, Pairs: len(ratio), Plain: units.Median(ms[0]), With: units.Median(ms[1]), Cost: units.Median(ratio) - 1}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s: %.1f ms a step, %.1f ms with evidence; the median of %d pairs costs %+.2f %%\n", r.Model, r.Plain, r.With, r.Pairs, 100*r.Cost)
	return nil
}
