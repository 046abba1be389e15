package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/run"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// PaperCell is one run of a variant, and what it gave.
type PaperCell struct {
	Run     string             `json:"run,omitempty"` // run directory, from OUT; none of timings
	Seed    uint64             `json:"seed"`          // of timings, which time it is
	Set     []string           `json:"set,omitempty"` // all that the figures depend on
	Made    string             `json:"made,omitempty"`
	Machine string             `json:"machine,omitempty"`
	Seconds float64            `json:"seconds"`        // of everything
	Load    float64            `json:"load,omitempty"` // of the machine, where other programs ran: times say little
	Figures map[string]float64 `json:"figures"`        // by the names of paper.csv; memory in bytes
}

// kept is a cell read from its file below out, when it is there and was made with the same
// settings, or made now and kept there.
func kept(ctx context.Context, out, name string, c PaperCell, make func(c *PaperCell) error) (PaperCell, error) {
	file := filepath.Join(out, "cells", name+".json")
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		var there PaperCell
		if err := json.Unmarshal(text, &there); err != nil {
			return c, fault.BadInput(fmt.Errorf("%s: %w", file, err))
		}
		if !slices.Equal(there.Set, c.Set) {
			return c, fault.Usage(fmt.Errorf("%s was made with other settings (%s); delete it and its run directory, or choose another directory for the results", file, strings.Join(difference(there.Set, c.Set), ", ")))
		}
		return there, nil
	case !errors.Is(err, os.ErrNotExist):
		return c, err
	}
	if ctx.Err() != nil {
		return c, ErrInterrupted
	}
	c.Made, c.Machine, c.Figures = time.Now().UTC().Format(time.DateOnly), machine(), map[string]float64{}
	c.busy()
	if err := make(&c); err != nil {
		return c, err
	}
	c.busy()
	if text, err = json.MarshalIndent(c, "", "  "); err != nil {
		return c, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return c, err
	}
	return c, checkpoint.WriteFile(file, append(text, '\n'))
}

// busy notes the load where other programs run.
func (c *PaperCell) busy() {
	if load, _, busy := sysmem.Busy(); busy {
		c.Load = max(c.Load, load)
	}
}

// difference is what one list of settings has and the other has not.
func difference(a, b []string) (d []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			d = append(d, s)
		}
	}
	if len(d) == 0 && len(b) > len(a) {
		return difference(b, a)
	}
	return d
}

// machine is the processor, cores, memory and path of the kernels.
func machine() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			name += ", " + strings.TrimSpace(value)
			break
		}
	}
	installed, _ := sysmem.Installed()
	return fmt.Sprintf("%s, %s, %s, %s", name, units.Plural(runtime.NumCPU(), "core"), units.Bytes(installed), kernel.CurrentPath())
}

// overrides are those of a variant's run file. What a row says about the model and
// the tokenizer is for new models.
func (p *paper) overrides(row *config.PaperRow, v *config.PaperVariant) []string {
	set := slices.Concat(row.Set, v.Set)
	if p.quick {
		set = append(set, row.Quick...)
	}
	if v.From != "" {
		set = slices.DeleteFunc(set, func(s string) bool { return strings.HasPrefix(s, "model.") || strings.HasPrefix(s, "tokenizer.") })
	}
	if row.Data == "images" {
		set = append(set, "data.validation_path="+p.ImagesTest)
	}
	return set
}

// run is the result of a variant at a seed.
func (p *paper) run(row *config.PaperRow, v *config.PaperVariant, seed uint64) (PaperCell, error) {
	set := append(p.overrides(row, v), fmt.Sprintf("train.seed=%d", seed), fmt.Sprintf("prune.seed=%d", seed))
	name := fmt.Sprintf("%s-%d", v.Name, seed)
	c := PaperCell{Run: filepath.Join(row.Name, name), Seed: seed, Set: slices.Concat([]string{"config=" + v.Config, "data.path=" + p.data(row.Data)}, set)}
	if v.From != "" {
		c.Set = append(c.Set, "from="+v.From)
	}
	if v.Budget != "" {
		c.Set = append(c.Set, fmt.Sprintf("method=%s %s %s %s %s gains=%t rounds=%d at %s on %d sequences", v.Method.Criterion, v.Method.Allocation,
			v.Method.QKOrder, v.Method.Basis, v.Method.Compensate, *v.Method.Gains, v.Method.Steps, v.Budget, row.Sequences))
	}
	return kept(p.ctx, p.Out, row.Name+"-"+name, c, func(c *PaperCell) error {
		dir := filepath.Join(p.Out, c.Run)
		from := ""
		if v.From != "" {
			first, err := p.run(p.source(v.From, seed))
			if err != nil {
				return fmt.Errorf("%s: %w", v.From, err)
			}
			from = filepath.Join(p.Out, first.Run)
		}
		start := time.Now()
		if v.Budget != "" {
			if err := p.cut(row, v, seed, from, dir+"-cut", c); err != nil {
				return err
			}
			from = dir + "-cut"
		}
		if _, err := os.Stat(filepath.Join(dir, train.SummaryFile)); errors.Is(err, os.ErrNotExist) {
			if err := p.train(p.File(v.Config), set, p.data(row.Data), from, dir); err != nil {
				return err
			}
		}
		if err := c.read(dir, p.Threads); err != nil {
			return err
		}
		// An interrupted run has had more than this part of it.
		c.Seconds = max(time.Since(start).Seconds(), c.Figures["seconds"]+c.Figures["prune_seconds"])
		return nil
	})
}

// source is a variant at a seed, by its path, which the file's check has found.
func (p *paper) source(path string, seed uint64) (*config.PaperRow, *config.PaperVariant, uint64) {
	row, v := p.Variant(path)
	return row, v, seed
}

// train makes a run, or goes on with it; from is the model that it begins with, "" for
// a new one.
func (p *paper) train(file string, set []string, path, from, out string) error {
	cfg, err := config.Load(file, set)
	if err != nil {
		return err
	}
	cfg.Out, cfg.Data.Path, cfg.Data.Synthetic = out, path, ""
	if from != "" {
		cfg.From = from
	}
	p.say("-- %s", out)
	fresh()
	return p.Env.train(p.ctx, cfg, run.Options{Mode: run.Auto})
}

// fresh gives back the memory of what ran before in this process, so that the
// resident set is that of what comes.
func fresh() {
	debug.FreeOSMemory()
	sysmem.ForgetPeak()
}

// cut prunes the model from to out, and keeps the report in a file beside it.
func (p *paper) cut(row *config.PaperRow, v *config.PaperVariant, seed uint64, from, out string, c *PaperCell) error {
	file := out + ".json"
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		p.say("-- %s", out)
		fresh()
		cut := workload.DefaultPruning()
		cut.From, cut.Data, cut.Out, cut.Rounds, cut.Sequences, cut.DType, cut.Log = from, p.data(row.Data), out, v.Method.Steps, row.Sequences, "F32", p.Log
		cut.Threads = p.Threads
		cut.Config, cut.Improve = config.Compare{Of: "prunable"}.Pruning(v.Method, v.Budget, seed)
		var r *prune.Report
		if r, err = cut.Run(p.ctx); err == nil {
			text, err = json.MarshalIndent(r, "", "  ")
		}
		if err == nil {
			err = checkpoint.WriteFile(file, append(text, '\n'))
		}
	}
	if err != nil {
		return err
	}
	var r struct {
		After *struct {
			Perplexity float64 `json:"perplexity"`
		} `json:"after"`
		Seconds float64 `json:"seconds"`
		PeakRSS int64   `json:"peak_rss"`
	}
	if err := json.Unmarshal(text, &r); err != nil || r.After == nil {
		return fault.BadInput(fmt.Errorf("%s: expected the report of a pruning in JSON", file))
	}
	c.Figures["prune_seconds"], c.Figures["prune_peak"], c.Figures["cut_perplexity"] = r.Seconds, float64(r.PeakRSS), r.After.Perplexity
	return nil
}

// read takes a finished run's figures, and times its model.
func (c *PaperCell) read(dir string, threads int) error {
	r, err := report.Open(dir)
	if err != nil {
		return fault.BadInput(err)
	}
	f := r.Facts()
	if f.After.ValLoss == nil {
		return fault.BadInput(fmt.Errorf("%s has no validation loss; give data.validation", dir))
	}
	if f.After.ValTop1 != nil {
		c.Figures["top1"] = 100 * *f.After.ValTop1
	} else {
		c.Figures["perplexity"] = math.Exp(*f.After.ValLoss)
	}
	var planned int64
	for _, s := range r.Steps {
		if s.Memory != nil {
			planned = max(planned, s.Memory.Total())
		}
	}
	for name, x := range map[string]float64{
		"params": float64(f.After.Params), "seconds": f.Seconds, "ms": f.After.Ms, "peak_rss": float64(f.PeakResident), "rss": float64(f.After.RSS),
		"planned_peak": float64(planned), "planned": float64(f.After.Memory.Total()),
	} {
		c.Figures[name] = x
	}
	return c.speed(dir, threads)
}
