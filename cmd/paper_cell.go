package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/report"
	"github.com/ecospa/ecospa/pkg/train"
)

// PaperCell is one run of a variant, and what it gave.
type PaperCell struct {
	Run         string   `json:"run"` // directory, from OUT
	Seed        uint64   `json:"seed"`
	Set         []string `json:"set"` // overrides of the run file
	Params      int      `json:"params"`
	Prunable    int      `json:"prunable"` // of them: without embeddings, norms and the residual stream's biases
	Perplexity  float64  `json:"perplexity"`
	Seconds     float64  `json:"seconds"`      // in steps
	Ms          float64  `json:"ms"`           // a step, median of the last
	PlannedPeak int64    `json:"planned_peak"` // bytes of training, the most at any time
	Planned     int64    `json:"planned"`      // at the end
	Prefill     float64  `json:"prefill"`      // tokens a second, the best of a few
	Decode      float64  `json:"decode"`       // the same, one token at a time
}

// cell is the result of a run: read, when it is there and was made with the same
// settings, or made, from where an interrupted run stopped.
func (p *paper) cell(row config.PaperRow, variant string, seed uint64, set []string) (PaperCell, error) {
	name := fmt.Sprintf("%s-%d", variant, seed)
	file := filepath.Join(p.Out, "cells", row.Name+"-"+name+".json")
	c := PaperCell{Run: filepath.Join(row.Name, name), Seed: seed, Set: append([]string{"config=" + row.Config, "data.path=" + p.data}, set...)}
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		var there PaperCell
		if err := json.Unmarshal(text, &there); err != nil {
			return c, badInput(fmt.Errorf("%s: %w", file, err))
		}
		if !slices.Equal(there.Set, c.Set) {
			return c, usage(fmt.Errorf("%s was made with other settings; remove it and %s, or choose another --out", file, filepath.Join(p.Out, c.Run)))
		}
		return there, nil
	case !errors.Is(err, os.ErrNotExist):
		return c, err
	}
	dir := filepath.Join(p.Out, c.Run)
	if _, err := os.Stat(filepath.Join(dir, train.SummaryFile)); errors.Is(err, os.ErrNotExist) {
		_, begun := os.Stat(runFile(dir))
		fmt.Fprintf(p.log, "-- %s\n", dir)
		o := PretrainOptions{Config: p.File(row.Config), Set: set, Data: p.data, Out: dir, Resume: begun == nil}
		if err := RunPretrain(p.ctx, o, io.Discard, p.log); err != nil {
			return c, err
		}
	}
	if err := c.read(dir); err != nil {
		return c, err
	}
	if text, err = json.MarshalIndent(c, "", "  "); err != nil {
		return c, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return c, err
	}
	return c, checkpoint.WriteFile(file, append(text, '\n'))
}

// read takes a finished run's figures, and times its model.
func (c *PaperCell) read(dir string) error {
	r, err := report.Open(dir)
	if err != nil {
		return badInput(err)
	}
	f := r.Facts()
	if f.After.ValLoss == nil {
		return badInput(fmt.Errorf("%s has no validation loss; give data.validation", dir))
	}
	c.Params, c.Perplexity, c.Seconds, c.Ms = f.After.Params, f.After.Perplexity(), f.Seconds, f.After.Ms
	c.Planned = f.After.Memory.Total()
	for _, s := range r.Steps {
		if s.Memory != nil {
			c.PlannedPeak = max(c.PlannedPeak, s.Memory.Total())
		}
	}
	return c.speed(dir)
}

// speed times, behind the first half of the context, prefill of most of the second
// half and then tokens one by one: the best of seven, since other work on the
// machine only ever slows it down.
func (c *PaperCell) speed(dir string) error {
	l, err := openModel(dir)
	if err != nil {
		return err
	}
	defer l.root.Close()
	defer l.set.Weights.Close()
	c.Prunable = coupled.Prunable(l.set)
	pool := kernel.NewPool(0)
	defer pool.Close()
	const ahead = 24 // tokens decoded
	context := min(l.m.Context(), 1024)
	n := (context - ahead) / 2
	if n < 1 {
		return badInput(fmt.Errorf("%s has a context of %d tokens, expected at least %d", dir, context, ahead+2))
	}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i * 7 % l.m.Vocab())
	}
	var prefill, decode []float64
	for range 7 {
		s, err := infer.NewSession(l.m, l.set, pool, infer.SessionOptions{Batch: 1, Capacity: context})
		if err != nil {
			return err
		}
		timed := func(k, times int) float64 { // tokens a second
			start := time.Now()
			for range times {
				if err == nil {
					_, err = s.Feed(ids[:k])
				}
			}
			return float64(k*times) / time.Since(start).Seconds()
		}
		timed(n, 1) // makes the machine for n tokens
		prefill = append(prefill, timed(n, 1))
		timed(1, 1) // and that for one
		decode = append(decode, timed(1, ahead-1))
		s.Close()
		if err != nil {
			return err
		}
	}
	c.Prefill, c.Decode = slices.Max(prefill), slices.Max(decode)
	return nil
}
