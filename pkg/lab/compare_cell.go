package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/run"
	"github.com/ecospa/ecospa/pkg/train"
)

// comparison is one run of bench compare.
type comparison struct {
	config.Compare
	Env
	ctx  context.Context
	pool *kernel.Pool
	made int // cells
	// seen is the evidence of one seed's dense model by what it was asked for:
	// methods and budgets that ask the same share it.
	seen map[string]*coupled.Evidence
	// tried is the losses of trial cuts, by what was asked and how cuts are improved.
	tried map[string]map[string]float64
	// promise bounds the operations of a pruning, see prune.Job.Promise; 0 does not.
	promise float64
}

// CompareCell is what pruning one model by one method to one size gave; one file.
type CompareCell struct {
	Key       string   `json:"key"` // SHA-256 of all that the figures depend on
	Method    string   `json:"method"`
	Budget    string   `json:"budget"` // empty for the dense model
	Seed      uint64   `json:"seed"`
	Loss      float64  `json:"loss"`      // nats a held-out token or image, after the cut
	Recovered *float64 `json:"recovered"` // after the training after it; null without
	Params    int      `json:"params"`
	Removed   float64  `json:"removed"`             // share of the prunable parameters
	Allocated string   `json:"allocated,omitempty"` // what the allocation auto chose
	Trials    int      `json:"trials"`              // losses of trial cuts
	Seconds   float64  `json:"seconds"`             // of pruning; calibration passes are shared between cells
	FLOPs     int64    `json:"flops"`               // operations of pruning, that are counted; shared as its seconds are
	Forward   float64  `json:"flops_per_token"`     // of the matrix products of a forward pass, after the cut
	Tokens    int64    `json:"tokens"`              // predicted in the training after the cut, or images
	Took      float64  `json:"took"`                // seconds of everything, the training after the cut included
	Made      string   `json:"made"`                // date
	Machine   string   `json:"machine"`
}

// run returns all cells, the dense models' first, by seed.
func (c *comparison) run() ([]CompareCell, error) {
	if err := os.MkdirAll(filepath.Join(c.Out, "cells"), 0o755); err != nil {
		return nil, err
	}
	defer c.forget()
	var cells []CompareCell
	for _, seed := range c.Seeds {
		c.forget()
		d, err := c.dense(seed)
		if err != nil {
			return nil, err
		}
		cell, err := c.cell(d, nil, "")
		if err != nil {
			return nil, err
		}
		cells = append(cells, cell)
		for i := range c.Methods {
			for _, budget := range c.Budgets {
				if cell, err = c.cell(d, &c.Methods[i], budget); err != nil {
					return nil, fmt.Errorf("%s at %s, seed %d: %w", c.Methods[i].Name, budget, seed, err)
				}
				cells = append(cells, cell)
			}
		}
	}
	return cells, nil
}

// dense opens the model of a seed, trained first when it is missing or half done.
func (c *comparison) dense(seed uint64) (*denseModel, error) {
	d := &denseModel{dir: strings.ReplaceAll(c.Model, "{seed}", fmt.Sprint(seed)), seed: seed}
	if err := c.train(d); err != nil {
		return nil, err
	}
	src, err := bundle.Open(d.dir, bundle.Options{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if d.digest, err = digestOf(filepath.Join(d.dir, "model.safetensors")); err != nil {
		return nil, fault.BadInput(err)
	}
	return d, c.read(d, src)
}

// train makes the run directory of a dense model, or finishes it; a directory
// that is a model and no run is taken as it is.
func (c *comparison) train(d *denseModel) error {
	_, noModel := os.Stat(filepath.Join(d.dir, "config.json"))
	_, noRun := os.Stat(run.File(d.dir))
	if noModel == nil && noRun != nil {
		return nil
	}
	cfg := c.Train
	cfg.Out, cfg.Train.Seed, cfg.Train.Sample = d.dir, d.seed, 0
	return c.Env.train(c.ctx, cfg, run.Options{Mode: run.Auto, Allow: []string{"train.threads", "train.sample", "data.path", "data.cache"}})
}

// cellFile is where a cell lies; a cell of the dense model has no budget.
func cellFile(out, method, budget string, seed uint64) string {
	name := config.Slug(method)
	if budget != "" {
		name += "-" + config.Slug(budget)
	}
	return filepath.Join(out, "cells", fmt.Sprintf("%s-seed%d.json", name, seed))
}

// cell is read from its file, or made; without a method it is the dense model's.
func (c *comparison) cell(d *denseModel, m *config.Method, budget string) (CompareCell, error) {
	cell := CompareCell{Method: config.Dense, Budget: budget, Seed: d.seed}
	if m != nil {
		cell.Method = m.Name
	}
	cell.Key = c.key(d, m, budget)
	path := cellFile(c.Out, cell.Method, budget, d.seed)
	var old CompareCell
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &old) == nil && old.Key == cell.Key {
		return old, nil
	}
	if c.ctx.Err() != nil {
		return cell, ErrInterrupted
	}
	start := time.Now()
	if err := c.make(&cell, d, m); err != nil {
		return cell, err
	}
	cell.Took, cell.Made, cell.Machine = time.Since(start).Seconds(), start.UTC().Format(time.DateOnly), machine()
	c.made++
	c.say("seed %d  %s %s: loss %.4f%s (%.1f s)", cell.Seed, cell.Method, cell.Budget, cell.Loss, cell.after(), cell.Seconds)
	text, err := json.MarshalIndent(cell, "", "  ")
	if err != nil {
		return cell, err
	}
	return cell, checkpoint.WriteFile(path, append(text, '\n'))
}

func (c CompareCell) after() string {
	if c.Recovered == nil {
		return ""
	}
	return fmt.Sprintf(", %.4f after recovery", *c.Recovered)
}

// recovers reports whether a cell has training after its cut.
func (c *comparison) recovers(m *config.Method, budget string) bool {
	if c.Recover.Steps == 0 && c.Recover.Tokens == 0 {
		return false
	}
	if m == nil {
		return true
	}
	for _, b := range c.Recover.Budgets {
		if b == budget && m.Recover {
			return true
		}
	}
	return false
}

// key names all that a cell's figures depend on, the machine aside.
func (c *comparison) key(d *denseModel, m *config.Method, budget string) string {
	of := struct {
		Weights           string
		Seed              uint64
		Method            *config.Method
		Budget, Of        string
		Kinds             []string
		Context, Eval     int
		Sequences, Trials int
		Held              string
		Recover           *config.Recover
		Optim, Train      any
	}{Weights: d.digest, Seed: d.seed, Context: d.context, Eval: c.EvalTokens, Held: d.held}
	if m != nil {
		plain := *m
		plain.Name, plain.Recover = "", false
		of.Method, of.Budget, of.Of, of.Kinds, of.Sequences, of.Trials = &plain, budget, c.Of, c.Kinds, c.Sequences, c.TrialSequences
	}
	if c.recovers(m, budget) {
		recover := c.Recover
		recover.Budgets = nil
		of.Recover, of.Optim = &recover, c.Train.Optim
		of.Train = []int{c.Train.Train.Batch, c.Train.Train.MicroBatch}
	}
	text, err := json.Marshal(of)
	if err != nil {
		panic(err) // plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// make prunes a copy of the model, measures it, and trains on where asked.
func (c *comparison) make(cell *CompareCell, d *denseModel, m *config.Method) error {
	src, err := bundle.Open(d.dir, bundle.Options{})
	if err != nil {
		return err
	}
	defer src.Close()
	dense, prunable := src.Set.Count(), coupled.Prunable(src.Set)
	cell.Params = dense
	var zeros []coupled.Zero
	if m != nil {
		start := time.Now()
		if zeros, err = c.cut(cell, d, m, src); err != nil {
			return err
		}
		cell.Seconds = time.Since(start).Seconds()
		cell.Removed = float64(dense-cell.Params) / float64(prunable)
	}
	if m != nil && m.Scratch {
		src.Set.Init(d.seed)
	}
	pass, err := costOf(src.Model, src.Set, d.context)
	if err != nil {
		return err
	}
	cell.Forward = pass.forward / float64(d.context)
	if cell.Loss, err = c.loss(d, src); err != nil || !c.recovers(m, cell.Budget) {
		return err
	}
	x := cell.Loss // of the dense model trained against itself
	switch {
	case c.Recover.Tokens == 0:
		cell.Tokens, x, err = c.recover(src, d, zeros)
	case m != nil && m.Learn != config.LearnParent:
		cell.Tokens, x, err = c.learnText(src, d, m, dense)
	case m != nil:
		cell.Tokens, x, err = c.distil(src, d, m)
	}
	cell.Recovered = &x
	return err
}

// cut makes the model smaller by a method; rows that the ablation zeroed are returned.
func (c *comparison) cut(cell *CompareCell, d *denseModel, m *config.Method, src *bundle.Bundle) ([]coupled.Zero, error) {
	k, improve := c.Pruning(*m, cell.Budget, d.seed)
	if m.Slice {
		err := c.slice(src, d.cal, k)
		cell.Params = src.Set.Count()
		return nil, err
	}
	p := &prune.Job{
		Calibration: prune.Calibration{Model: src.Model, Set: src.Set, Pool: c.pool, Data: d.cal},
		Config:      k, Improve: improve, Rounds: m.Steps, Trial: c.TrialSequences, Uncoupled: m.Uncoupled, Promise: c.promise,
	}
	question, share := asked(k, improve, m)
	if share {
		p.Evidence = c.seen[question]
		way := fmt.Sprintf("%s %+v", question, improve)
		if c.tried[way] == nil {
			c.tried[way] = map[string]float64{}
		}
		p.Known = c.tried[way]
	}
	r, err := p.Run(c.ctx)
	if err != nil {
		return nil, err
	}
	if share {
		c.seen[question] = r.Evidence
	} else {
		defer r.Evidence.Close()
	}
	cell.Params, cell.Trials, cell.Allocated = r.Plan().After, r.Trials, best(r.Plan().Trials)
	for _, ph := range r.Phases {
		cell.FLOPs += ph.FLOPs
	}
	return r.Zeros, nil
}

// asked names what a method asks the calibration data, and whether another method
// or budget may be given the same answer: not where a second round sees another model.
func asked(k coupled.Config, improve coupled.Improve, m *config.Method) (question string, share bool) {
	_, more := improve.Options(1)
	return fmt.Sprintf("%+v %s %t %t", k.Options(1).Join(more), improve.Basis, k.Allocation == "auto", m.Uncoupled), m.Steps == 1
}

// forget releases the evidence.
func (c *comparison) forget() {
	for _, e := range c.seen {
		e.Close()
	}
	c.seen, c.tried = map[string]*coupled.Evidence{}, map[string]map[string]float64{}
}

// best is the allocation that auto chose.
func best(trials []coupled.Trial) (name string) {
	for i, t := range trials {
		if i == 0 || t.Loss < trials[0].Loss {
			trials[0], name = t, t.Allocation
		}
	}
	return name
}

// recover trains on and returns what it predicted and the loss; rows that the ablation zeroed
// stay zero.
func (c *comparison) recover(src *bundle.Bundle, d *denseModel, zeros []coupled.Zero) (read int64, loss float64, err error) {
	t := c.Train.Train.Resolve(d.context)
	t.Steps = c.Compare.Recover.Steps
	l, err := c.loop(src, d, t, c.Compare.Recover.LR)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	if len(zeros) > 0 {
		l.Attach(train.Hook{Name: "zero", Step: func(l *train.Loop) error { return coupled.SetZero(l.Set, zeros) }})
	}
	if err := c.runLoop(l); err != nil {
		return 0, 0, err
	}
	loss, err = c.loss(d, src)
	return l.Tokens, loss, err
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
