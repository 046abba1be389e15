package run

import (
	"encoding/json"
	"math"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/train"
)

// Result is what a finished run gave.
type Result struct {
	Dir     string // the run directory, itself a model directory
	Summary train.Summary
	Images  bool
	Encoder bool
	Pruned  bool       // the run had pruning events
	Best    *EvalPoint // of the checkpoint that Dir/best leads to; nil without checkpoint.keep_best
	Adapter string     // directory of the adapters without the model; empty without any
	EMA     string     // directory of the model with averaged weights; empty without train.ema
	Merged  string     // directory of the model with the adapters folded in; empty without
}

// finish writes what a run leaves behind beside its last checkpoint.
func (j *Job) finish() (*Result, error) {
	if err := j.finishAdapters(); err != nil {
		return nil, err
	}
	if err := j.finishAverage(); err != nil {
		return nil, err
	}
	if err := j.linkBest(); err != nil {
		return nil, err
	}
	r := &Result{Dir: j.cfg.Out, Images: j.images(), Pruned: j.pruner != nil}
	_, r.Encoder = j.bundle.Model.(model.Encoder)
	r.Summary = train.Summary{Version: j.Version, Path: kernel.CurrentPath(), Threads: j.pool.Threads(), Before: j.before, After: j.snapshot(), Encoder: r.Encoder}
	_, r.Summary.PeakRSS = sysmem.Resident()
	if load, _, busy := sysmem.Busy(); busy {
		r.Summary.Load = load
	}
	if h := j.floor(); !math.IsNaN(h) && r.Summary.After.ValLoss != nil {
		r.Summary.Entropy = &h
	}
	sample, err := j.sample()
	if err != nil { // it is only for show
		j.tell(Note("no sample of the model's text: " + oneLine(err)))
	}
	r.Summary.Sample = sample
	if j.cfg.Checkpoint.KeepBest && j.best.Step >= 0 {
		r.Best = &j.best
	}
	if j.bundle.Adapters != nil {
		r.Adapter = filepath.Join(r.Dir, adapterDir)
		if j.Merge {
			r.Merged = filepath.Join(r.Dir, mergedDir)
		}
	}
	if j.loop.Average() != nil {
		r.EMA = filepath.Join(r.Dir, emaDir)
	}
	text, err := json.MarshalIndent(r.Summary, "", "  ")
	if err != nil {
		return nil, err
	}
	return r, checkpoint.WriteFile(filepath.Join(r.Dir, train.SummaryFile), append(text, '\n'))
}

// emaDir of a run is the model with averaged weights.
const emaDir = "ema"

// finishAverage writes the model with averaged weights.
func (j *Job) finishAverage() error {
	if j.loop.Average() == nil {
		return nil
	}
	return j.loop.WithAverage(func() error {
		files, err := j.bundle.Files("F32")
		if err != nil {
			return err
		}
		return checkpoint.ReplaceDir(filepath.Join(j.cfg.Out, emaDir), files)
	})
}
