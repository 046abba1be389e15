package lab

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// Work of one pruning in tokens of training, by the calibration's tokens: passes for
// the basis, the evidence and the refit, and the forward passes of trial cuts.
const pruneWork = 6

// estimate says how long the rows will take: what is missing of them, at the speed
// of whole optimizer steps that it times. Pruned steps are shorter, other work
// makes them longer.
func (p *paper) estimate(rows []*config.PaperRow) error {
	counted := map[string]bool{}
	var total float64
	for _, row := range rows {
		s, err := p.expected(row, counted)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		total += s
		p.say("estimate   %-16s %s", row.Name, units.Clock(units.Seconds(s)))
	}
	p.say("estimate   %-16s %s", "together", units.Clock(units.Seconds(total)))
	return nil
}

// expected is the seconds of what is missing of a row and has not been counted.
func (p *paper) expected(row *config.PaperRow, counted map[string]bool) (total float64, err error) {
	missing := func(file string) bool {
		_, err := os.Stat(file)
		miss := err != nil && !counted[file]
		counted[file] = true
		return miss
	}
	switch {
	case row.Bench.Mode != "":
		return p.expectedBench(row, missing)
	case row.Compare != "":
		return p.expectedComparison(row, missing)
	}
	for i := range row.Variants {
		v := &row.Variants[i]
		for _, seed := range p.Seeds {
			s, err := p.expectedRun(row, v, seed, missing)
			if err != nil {
				return 0, err
			}
			total += s
		}
	}
	return total, nil
}

// expectedRun is the seconds of a run and of the one that it begins with.
func (p *paper) expectedRun(row *config.PaperRow, v *config.PaperVariant, seed uint64, missing func(string) bool) (total float64, err error) {
	if !missing(filepath.Join(p.Out, "cells", fmt.Sprintf("%s-%s-%d.json", row.Name, v.Name, seed))) {
		return 0, nil
	}
	run, err := config.Load(p.File(v.Config), append(p.overrides(row, v), "data.path="+p.data(row.Data)))
	if err != nil {
		return 0, err
	}
	of := run
	if v.From != "" {
		from, source := p.Variant(v.From)
		if total, err = p.expectedRun(from, source, seed, missing); err != nil {
			return 0, err
		}
		if of, err = config.Load(p.File(source.Config), append(p.overrides(from, source), "data.path="+p.data(from.Data))); err != nil {
			return 0, err
		}
	}
	rate, context, err := p.rate(of, run.Train.Batch, run.Train.Context)
	if err != nil {
		return 0, err
	}
	work := run.Train.Steps * run.Train.Batch * context
	if v.Budget != "" {
		work += pruneWork * row.Sequences * context
	}
	return total + float64(work)/rate, nil
}

func (p *paper) expectedComparison(row *config.PaperRow, missing func(string) bool) (total float64, err error) {
	c, err := p.comparison(row)
	if err != nil {
		return 0, err
	}
	t := c.Train.Train
	rate, context, err := p.rate(c.Train, t.Batch, t.Context)
	if err != nil {
		return 0, err
	}
	recover := c.Recover.Steps * t.Batch * context
	for _, seed := range c.Seeds {
		if missing(cellFile(c.Out, config.Dense, "", seed)) {
			total += float64(t.Steps*t.Batch*context+recover) / rate
		}
		for _, m := range c.Methods {
			for _, b := range c.Budgets {
				if missing(cellFile(c.Out, m.Name, b, seed)) {
					total += float64(recover+pruneWork*c.Sequences*context) / rate
				}
			}
		}
	}
	return total, nil
}

// rate times whole steps of a run file's model: tokens a second, and the tokens of a
// sequence; an image is as many as its squares.
func (p *paper) rate(run config.Run, batch, context int) (rate float64, tokens int, err error) {
	s := run.Model
	if s.Images() {
		s.Labels = max(s.Labels, 10)
	} else {
		if context == 0 {
			context = run.Train.Resolve(max(s.Context, 256)).Context
		}
		vocab := run.Tokenizer.Vocab
		if run.Tokenizer.Train == "bytes" {
			vocab = 257
		}
		s.Context, s.Vocab = max(s.Context, context), max(s.Vocab, vocab)
	}
	m, err := model.New(s)
	if err != nil {
		return 0, 0, fault.Usage(err)
	}
	if s.Images() {
		context = m.Context()
	}
	batch = max(batch, 1)
	key := fmt.Sprintf("%+v %d %d", s, batch, context)
	if p.rates[key] > 0 {
		return p.rates[key], context, nil
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return 0, 0, err
	}
	set.Weights = set.NewSlab()
	defer set.Weights.Close()
	set.Init(1)
	pool := kernel.NewPool(cmp.Or(p.Threads, run.Train.Threads))
	defer pool.Close()
	l, err := bench.Options{Batch: batch, Seq: context, Steps: 2, Moments: "f32"}.Loop(m, set, pool)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	best := 0.0
	l.Attach(train.Hook{Name: "rate", Step: func(l *train.Loop) error {
		best = max(best, float64(batch*context)/l.Last.Ms*1e3)
		return nil
	}})
	if err := l.Run(p.ctx); err != nil {
		return 0, 0, err
	}
	p.rates[key] = best
	return best, context, nil
}

// expectedBench is from what the products and the reads of weights take at the
// machine's measured peak and bandwidth.
func (p *paper) expectedBench(row *config.PaperRow, missing func(string) bool) (total float64, err error) {
	b := p.timings(row)
	pool := kernel.NewPool(p.Threads)
	defer pool.Close()
	flops, bytes := kernel.PeakFLOPS(pool, 0.2), kernel.ReadBandwidth(pool)
	for v, variant := range []string{"dense", "pruned"} {
		_, set, err := benchOptions(b, v == 1).Layout()
		if err != nil {
			return 0, err
		}
		n := float64(set.Count())
		one := (0.5 + float64(b.Steps+1)) * (6*n*float64(b.Batch*b.Seq)/flops + 28*n/bytes) // AdamW reads and writes weights, gradients and two moments
		if b.Mode == "infer" {
			one = float64(b.Steps+1) * (2*n*1024/flops + 12*4*n/bytes)
		}
		for i := range b.Repeat {
			if missing(filepath.Join(p.Out, "cells", fmt.Sprintf("%s-%s-%d.json", row.Name, variant, i+1))) {
				total += one
			}
		}
	}
	return total, nil
}
