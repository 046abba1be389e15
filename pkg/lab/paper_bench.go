package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/model"
)

// bench times a row's model by name, whole and pruned in turn.
func (p *paper) bench(row *config.PaperRow, res *PaperRowResult) ([]PaperSummary, error) {
	b := p.timings(row)
	whose := "all"
	if b.Of == "prunable" {
		whose = "the prunable"
	}
	res.Note = fmt.Sprintf("%s with random weights; %g of %s parameters stay.", b.Model, b.Prune, whose)
	if b.Model != row.Bench.Model {
		res.Note = fmt.Sprintf("%s, not %s: a quick look; %g of %s parameters stay.", b.Model, row.Bench.Model, b.Prune, whose)
	}
	cells := make([][]PaperCell, 2)
	for i := range b.Repeat {
		for v, variant := range []string{"dense", "pruned"} {
			o := benchOptions(b, v == 1)
			o.Threads = p.Threads
			c := PaperCell{Seed: uint64(i + 1), Set: []string{fmt.Sprintf("%s %s %s batch=%d seq=%d steps=%d prune=%g of=%s", b.Mode, o.Model, b.DType, o.Batch, o.Seq, o.Steps, o.Prune, o.Of)}}
			c, err := kept(p.ctx, p.Out, fmt.Sprintf("%s-%s-%d", row.Name, variant, i+1), c, func(c *PaperCell) error {
				p.say("-- %s %s, time %d", b.Model, variant, i+1)
				return c.clock(p.ctx, b.Mode, o)
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", variant, err)
			}
			cells[v] = append(cells[v], c)
		}
	}
	return []PaperSummary{summarize(config.PaperVariant{Name: "dense"}, cells[0]), summarize(config.PaperVariant{Name: "pruned"}, cells[1])}, nil
}

// timings are what a row times, in a quick look less.
func (p *paper) timings(row *config.PaperRow) config.PaperBench {
	b := row.Bench
	if p.quick {
		b.Repeat = 1
		if b.Model != b.QuickModel {
			b.Model, b.Of = b.QuickModel, "prunable" // all of them may be out of reach: the smaller, the more is embeddings
		}
	}
	return b
}

func benchOptions(b config.PaperBench, pruned bool) bench.Options {
	o := bench.Options{Model: b.Model, Batch: b.Batch, Seq: b.Seq, Steps: b.Steps, BF16: b.DType == "bf16", Of: b.Of, Moments: "f32"}
	if pruned {
		o.Prune = b.Prune
	}
	return o
}

// clock fills in the figures of one time.
func (c *PaperCell) clock(ctx context.Context, mode string, o bench.Options) error {
	if (model.Sizes{Name: o.Model}).Images() {
		return fault.Usage(fmt.Errorf("bench.model is %s, expected a model of text", o.Model))
	}
	fresh()
	start := time.Now()
	if mode == "step" {
		if err := fits(o); err != nil {
			return err
		}
		r, err := o.Step(ctx)
		if err != nil {
			return err
		}
		_, peak := sysmem.Resident()
		c.Figures = map[string]float64{"params": float64(r.Params), "ms": r.Ms, "rss": float64(r.RSS << 20), "peak_rss": float64(peak), "planned": float64(r.Planned << 20)}
		c.Seconds = time.Since(start).Seconds()
		return nil
	}
	rows, err := o.Modes()
	if err != nil {
		return err
	}
	c.Figures = map[string]float64{"params": float64(rows[0].Params), "prefill": rows[0].PerS, "decode": rows[1].PerS, "batch_decode": rows[2].PerS}
	c.Seconds = time.Since(start).Seconds()
	return nil
}

// fits compares what the steps plan to take with the memory that is left.
func fits(o bench.Options) error {
	plan, err := o.Memory()
	if err != nil {
		return err
	}
	if free, by, known := sysmem.Available(); known && plan.Total() > free {
		return fmt.Errorf("a step of %s takes %s, but %s has %s left; end other work, or give bench.dtype bf16, or take a quick look", o.Model, units.Bytes(plan.Total()), by, units.Bytes(free))
	}
	return nil
}
