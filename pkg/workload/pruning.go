package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/recovery"
	"github.com/ecospa/ecospa/pkg/train"
)

// ErrRecoveryEnded is returned beside the report when the context ended while the model
// recovered: it was written as it was then. It is ErrRecoveryKept where Resume goes on.
var (
	ErrRecoveryEnded = errors.New("the recovery ended early, the model was saved")
	ErrRecoveryKept  = fmt.Errorf("%w with the state of its recovery", ErrRecoveryEnded)
)

// Pruning is one pruning of a model on disk, from opening it to the smaller model on disk.
type Pruning struct {
	From, Data, Out string // model, calibration data, model or plan to write ("" writes none)
	Open            bundle.Options
	Text            data.Options // how Data is read; its last tenth is held out for the report
	For             string       // a target of export whose shapes the plan has; "" is none
	Config          coupled.Config
	Improve         coupled.Improve
	Vocabulary      Vocabulary

	Rounds, Sequences, Context int // of calibration; Sequences 0 is as many as are enough, at most MostSequences or MostBeforeRecovery; Context 0 is the model's, at most 512
	Trial, EvalTokens          int // sequences for trial cuts at most; held-out tokens for the report, 0 is all, EvalAuto mostEval or fewer
	Recompute                  graph.Recompute
	Checkpoint                 string // directory that keeps what a calibration has found; "" for none
	Recover                    string // recovery.Options.ParseBudget, RecoverAuto or RecoverNone
	Resume                     bool   // go on with an interrupted recovery whose state is in Out
	Cache                      string // folder for text that is drawn from the model; "" keeps none
	SaveScores, Scores, Plan   string // files of evidence and of a plan; "" for none
	Uncoupled, DryRun          bool
	DType                      string // of the weights written; "" is the source's
	MemoryOf                   string // what Config.TargetMemory is about: inference or training
	MemoryBatch                int    // sequences that memory is planned for

	Threads int               // 0 is one a core
	Ranks   dist.Group        // processes that share the work; nil is this one only
	Log     func(line string) // progress; nil for none
	Working func(prune.Working)

	training recovery.Chosen // of the recovery, see decideTraining
}

const (
	// MostSequences is how many calibration sequences there are at most when nobody says, and
	// MostBeforeRecovery how many where the model is trained afterwards: that is the better use
	// of the time (docs/results/quality.md).
	MostSequences, MostBeforeRecovery = 256, 64
	// promise bounds the operations of a pruning: see prune.Job.Promise.
	promise = 2.5
	// EvalAuto is Pruning.EvalTokens for mostEval tokens, or a quarter of those of calibration where
	// that is less, but as many as take evalFLOPs; images are mostEval always.
	EvalAuto  = -1
	mostEval  = 16384
	evalFLOPs = 5e12 // less than a minute on two cores
)

// DefaultPruning is a pruning as the subcommand's flags have it where they are not given.
func DefaultPruning() Pruning {
	return Pruning{
		Text: data.Options{Field: "text"}, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Rounds: 1,
		Trial: prune.DefaultTrial, EvalTokens: EvalAuto, MemoryOf: "inference", MemoryBatch: 1, Cache: drawnDir(),
	}
}

// Run prunes and writes the result. Only the first rank writes, and has a report.
func (p Pruning) Run(ctx context.Context) (*prune.Report, error) {
	start := time.Now()
	p.setDefaults()
	if err := checkpoint.Replaceable(p.Out); err != nil && !p.DryRun {
		return nil, fault.Usage(err)
	}
	if err := p.decideTraining(); err != nil {
		return nil, err
	}
	b, err := p.open()
	if err != nil {
		return nil, err
	}
	defer b.Close()
	on := prune.NewSubject(b.Model, b.Set, p.Threads, p.Ranks)
	defer on.Close()
	job, err := p.job(ctx, b, on)
	if err != nil {
		return nil, err
	}
	res, err := job.Run(ctx)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	if p.Ranks.Rank() != 0 {
		return nil, nil
	}
	r := p.report(job, res, b)
	kept := job.SaveRecovery != nil && res.Interrupted
	if err := p.write(b, res, &r, kept); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	_, peak := sysmem.Resident()
	r.PeakRSS = max(peak, res.PeakRSS)
	switch {
	case kept:
		err = ErrRecoveryKept
	case res.Interrupted:
		err = ErrRecoveryEnded
	}
	return &r, err
}

// open opens the model, or with Resume the one whose recovery goes on, and decides what depends on it.
func (p *Pruning) open() (*bundle.Bundle, error) {
	if p.Open.Weights == "" {
		p.Open.Weights = p.weights()
	}
	path := p.From
	if p.Resume {
		path = p.Out
	}
	b, err := bundle.Open(path, p.Open)
	if err != nil {
		return nil, err
	}
	for _, n := range b.Notes {
		p.Log(fmt.Sprintf("note: %s: %s", path, n))
	}
	err = fault.Usage(export.Constrain(p.For, b.Model, &p.Config))
	if err == nil {
		p.EvalTokens, err = p.evalTokens(b)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// report is what the job found, of this model and data.
func (p *Pruning) report(job *prune.Job, res *prune.Result, b *bundle.Bundle) prune.Report {
	r := res.Report()
	r.From, r.Out, r.MemoryBatch, r.Context, r.Before.FileBytes = p.From, p.Out, p.MemoryBatch, job.Data.Context, b.Bytes
	if job.Resumed != nil {
		r.Before.FileBytes = job.Resumed.Bytes
	}
	r.Data = p.Data
	return r
}

// setDefaults fills in what the caller left open.
func (p *Pruning) setDefaults() {
	if p.Ranks == nil {
		p.Ranks = dist.Alone{}
	}
	if p.Log == nil {
		p.Log = func(string) {}
	}
}

// weights is the type in which weights are kept when nobody says: the source's, or float32
// where something trains or reads gradients of weights, or ranks send them to each other.
func (p Pruning) weights() param.DType {
	if p.Uncoupled || p.Recover != "" && p.Recover != RecoverNone || p.Ranks.Size() > 1 || p.Config.Options(1).PerSequence() {
		return param.F32
	}
	return bundle.AsStored
}

// scratch is a directory on the disk that the result is written to.
func (p Pruning) scratch() string {
	if p.Out == "" {
		return ""
	}
	dir := filepath.Dir(filepath.Clean(p.Out))
	for { // that is there already
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// write keeps the plan of a dry run, or the smaller model; kept says that it is there with
// the state of its recovery.
func (p Pruning) write(b *bundle.Bundle, res *prune.Result, r *prune.Report, kept bool) (err error) {
	switch {
	case p.DryRun && p.Out == "":
		return nil
	case p.DryRun:
		return prune.WritePlan(p.Out, res.Plan())
	}
	if r.After.FileBytes, err = b.WeightBytes(p.DType); err != nil || kept {
		return err
	}
	return b.Save(p.Out, bundle.SaveOptions{DType: p.DType, Replace: true})
}

// job is the pruning as a job on an open model.
func (p Pruning) job(ctx context.Context, b *bundle.Bundle, on prune.Subject) (*prune.Job, error) {
	w, vocabulary, err := p.read(ctx, b, &on)
	if err != nil {
		return nil, err
	}
	context, err := w.Context(b.Model, p.Context, 512)
	if err != nil {
		return nil, err
	}
	cal, err := w.Calibration(p.mostSequences(b.Model), context, p.Config.Seed)
	if err != nil {
		return nil, err
	}
	if v, ok := w.(*Vectors); ok && vocabulary != nil { // the evaluation before was of the whole vocabulary
		if err := v.prepare(1, min(context, v.validation.Longest()), vocabulary.Limit(p.EvalTokens)); err != nil {
			return nil, err
		}
	}
	job := &prune.Job{
		Calibration: prune.Calibration{Model: b.Model, Set: b.Set, Pool: on.Pool, Data: cal, Ranks: on.Ranks, Recompute: p.Recompute},
		Config:      p.Config, Improve: p.Improve, Rounds: p.Rounds, Trial: p.Trial, Uncoupled: p.Uncoupled, DryRun: p.DryRun, CheckMemory: true, Unit: string(w.Unit()),
		Vocabulary: vocabulary, PlanFile: p.Plan, EvidenceFile: p.Scores, SaveEvidence: p.SaveScores,
		Enough: p.Sequences == 0, Promise: promise, Checkpoint: p.Checkpoint, Scratch: p.scratch(),
		Notify: func(e prune.Event) { p.Log(e.String()) }, Working: p.Working,
		MeasureTokens: measured(w, vocabulary.Limit(p.EvalTokens)),
		Measure: func() (prune.Evaluation, error) {
			return w.Evaluate(on, EvalOptions{Context: context, Limit: vocabulary.Limit(p.EvalTokens)})
		},
		Footprints: &prune.Footprints{Inference: infer.Memory(b.Model, p.MemoryBatch, context), Training: train.MemoryOf(b.Model, p.MemoryBatch, context)},
	}
	job.InTurns = func() (before, after []float64, err error) { return p.inTurns(w, b, on, context) }
	if job.Footprint, err = job.Footprints.Of(p.MemoryOf); err != nil {
		return nil, fault.Usage(fmt.Errorf("memory of %w", err))
	}
	if err := p.recovery(job, w); err != nil {
		return nil, err
	}
	return job, p.keep(job, w, b)
}

// read opens the data, the vocabulary cut before where that is asked for.
func (p Pruning) read(ctx context.Context, b *bundle.Bundle, on *prune.Subject) (Workload, *prune.Vocabulary, error) {
	s := Source{Path: p.Data, Options: p.Text, Held: 0.1, Seed: p.Config.Seed}
	if p.Data != Parent {
		return p.Vocabulary.OpenSmaller(b, s, on, EvalOptions{Context: p.Context, Limit: p.EvalTokens})
	}
	if p.Vocabulary.Asked() {
		return nil, nil, fault.Usage(errors.New("a vocabulary is cut by the use of its ids in a given text, not in text sampled from the model"))
	}
	tokens, err := p.drawnTokens(b)
	if err != nil {
		return nil, nil, err
	}
	s.Drawn = Drawn{Tokens: tokens, Threads: p.Threads, Cache: p.Cache, Stop: ctx}
	p.Log(fmt.Sprintf("no data: sampling %s tokens from the model itself, seed %d", units.Count(float64(tokens)), s.Seed))
	if p.Resume {
		if b, err = bundle.Open(p.From, bundle.Options{Weights: bundle.AsStored}); err != nil {
			return nil, nil, err
		}
		defer b.Close()
	}
	w, err := Open(b, s)
	return w, nil, err
}

// recovers reports whether the model may be trained afterwards, as far as the options say.
func (p Pruning) recovers() bool {
	return p.Recover != "" && p.Recover != RecoverNone && !p.Uncoupled && p.Ranks.Size() == 1 && p.Open.Weights != param.Q8
}

// mostSequences is how many calibration sequences there are at most.
func (p Pruning) mostSequences(m model.Model) int {
	switch _, images := m.(model.Classifier); {
	case p.Sequences > 0:
		return p.Sequences
	case images || !p.recovers():
		return MostSequences
	}
	return MostBeforeRecovery
}

// evalTokens is EvalTokens, EvalAuto resolved for the model before the cut.
func (p Pruning) evalTokens(b *bundle.Bundle) (int, error) {
	if p.EvalTokens != EvalAuto {
		return p.EvalTokens, nil
	}
	if _, images := b.Model.(model.Classifier); images {
		return mostEval, nil
	}
	if p.Resume {
		source, err := bundle.Open(p.From, bundle.Options{ShapesOnly: true})
		if err != nil {
			return 0, err
		}
		defer source.Close()
		b = source
	}
	context := cmp.Or(p.Context, min(512, b.Model.Context()))
	return min(mostEval, max(context, p.mostSequences(b.Model)*context/4, evalFLOPs/(2*b.Set.Count()))), nil
}

// drawnTokens is how much text is drawn: enough for calibration, and for a recovery that reads
// it once by RecoverAuto and four times else; and a tenth of it to measure on.
func (p Pruning) drawnTokens(b *bundle.Bundle) (int, error) {
	context := p.Context
	if context == 0 {
		context = min(512, b.Model.Context())
	}
	need := int64(p.mostSequences(b.Model)) * int64(context)
	switch p.Recover {
	case "", RecoverNone:
	case RecoverAuto:
		need *= recoverShare
	default:
		var o recovery.Options
		if err := o.ParseBudget(p.Recover); err != nil {
			return 0, fault.Usage(fmt.Errorf("recover: %w", err))
		}
		need = max(need, o.Tokens/4)
	}
	return int(need * 10 / 9), nil
}

// measured is how many units an evaluation with a limit reads.
func measured(w Workload, limit int) int {
	_, n := w.Counts()
	if limit > 0 {
		n = min(n, limit)
	}
	return n
}
