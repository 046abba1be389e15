package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// Job is a training run: what the run file says, made into things.
type Job struct {
	Options
	cfg      config.Run // effective: defaults that depend on other values filled in
	previous config.Run // of the run that is gone on from
	resuming bool       // there is one
	replace  bool       // a run in the directory is replaced

	dir       *checkpoint.Run   // nil on ranks that do not write
	bundle    *bundle.Bundle    // model that is trained, its tokenizer and what else belongs to it
	work      workload.Workload // what the model is trained and judged on
	template  *chat.Template    // with which chats are learned; nil where the data are none
	apart     bool              // texts are encoded as versions before documents did, see data.EncodeApart
	otherData bool              // the data may be others than those of the interrupted run
	pool      *kernel.Pool
	batches   workload.Batches
	loop      *train.Loop
	pruner    *train.Pruner // nil for a dense run

	metrics   *train.Metrics
	evals     []EvalPoint
	best      EvalPoint       // lowest validation loss of a checkpoint
	before    *train.Snapshot // at the first pruning event
	recent    []train.Record
	rate      float64      // FLOP/s that products reach, of all ranks
	planned   train.Memory // of the newest line of metrics.jsonl that says it
	spike     train.Spike
	mute      bool  // it has been said that metrics.jsonl cannot be written
	unsaved   error // of the End hook's checkpoint
	saved     bool  // the End hook's checkpoint was written
	rollbacks int   // since the last checkpoint
	stage     atomic.Int64
}

// EvalPoint is an evaluation during the run.
type EvalPoint struct {
	Step int     `json:"step"`
	Loss float64 `json:"loss"`           // nats a token, or an image
	Top1 float64 `json:"top1,omitempty"` // share of images that are classified rightly
	// Parts are the losses of the corpora of a mixture, by their paths.
	Parts map[string]float64 `json:"parts,omitempty"`
	// Rewards are of pairs of answers, of which Loss is then the mean.
	Rewards *train.Rewards `json:"rewards,omitempty"`
	// EMA is the loss of the averaged weights, with train.ema.
	EMA *float64 `json:"ema,omitempty"`
}

// Start makes everything that training needs, from the start or from the newest
// good checkpoint of the run in the directory. Nothing is changed there until all of
// it has been found in order. ctx ends the reading of data.
func Start(ctx context.Context, cfg config.Run, o Options) (j *Job, err error) {
	if o.Ranks.Group == nil {
		o.Ranks.Group = dist.Alone{}
	}
	j = &Job{Options: o, cfg: cfg, best: EvalPoint{Step: -1, Loss: math.Inf(1)}}
	defer func() {
		if err != nil {
			j.Close()
		}
	}()
	if err := cfg.Validate(); err != nil {
		return j, fault.Usage(err)
	}
	if j.Merge && j.frozen() {
		return j, fault.Usage(fmt.Errorf("train.weights is %s: adapters cannot be merged into weights of this type: train without merging; the adapters are in RUN/adapter", cfg.Train.Weights))
	}
	if err := j.look(); err != nil {
		return j, err
	}
	if j.resuming {
		if done, err := j.finished(); err != nil || done {
			return j, errors.Join(err, doneIs(done))
		}
	}
	if err := j.lock(); err != nil {
		return j, err
	}
	var saved *state
	if j.resuming {
		if saved, err = j.restore(); err != nil {
			return j, err
		}
	}
	if saved == nil {
		if err := j.openBase(); err != nil {
			return j, err
		}
	}
	if err := j.read(ctx); err != nil {
		return j, err
	}
	if saved != nil && saved.Data != j.work.Checksum() {
		if err := j.readApart(ctx, saved.Data); err != nil {
			return j, err
		}
	}
	return j, j.prepare(saved)
}

// prepare makes all that comes between the data and the first step; saved is the state of
// an interrupted run, or nil.
func (j *Job) prepare(saved *state) error {
	if err := j.resolve(saved); err != nil {
		return err
	}
	if err := j.checkSamples(); err != nil {
		return err
	}
	if err := j.count(); err != nil {
		return err
	}
	room := j.fresh
	if saved != nil {
		room = func() error { return j.checkRoom(j.bundle.Set, j.bundle.Set.WeightBytes()) }
	}
	if err := room(); err != nil {
		return err
	}
	return j.assemble(saved)
}

func doneIs(done bool) error {
	if done {
		return ErrFinished
	}
	return nil
}

// assemble makes the loop and attaches the hooks; saved is the state of an
// interrupted run, or nil.
func (j *Job) assemble(saved *state) (err error) {
	if err := j.newLoop(j.cfg.Optim); err != nil {
		return err
	}
	j.loop.LayersEvery = j.cfg.Logging.LayersEvery
	if saved == nil {
		if err := j.learn(nil); err != nil {
			return err
		}
	}
	if j.cfg.Train.EMA > 0 {
		if err := j.loop.BeginAverage(); err != nil {
			return fault.Usage(err)
		}
	}
	if err := j.preparePruning(saved); err != nil {
		return err
	}
	if saved != nil {
		if err := j.resume(saved); err != nil {
			return err
		}
	}
	if j.patienceEnded() {
		j.loop.Steps = j.loop.Step
	}
	if err := j.writeConfig(); err != nil {
		return err
	}
	if j.Ranks.lead() {
		if j.metrics, err = train.OpenMetrics(filepath.Join(j.cfg.Out, "metrics.jsonl"), j.loop.Step); err != nil {
			return err
		}
	} else if j.loop.Evidence != nil {
		j.loop.Evidence.Reset() // the lead has what was seen
	}
	j.attach()
	return nil
}

// newLoop makes the loop, without hooks, adapters and a teacher.
func (j *Job) newLoop(o optim.Config) error {
	c := j.cfg.Train
	if err := j.fits(); err != nil {
		return err
	}
	if j.bundle.Set.Count() == 0 {
		return errors.New("the model has no parameters")
	}
	if c.Threads == 0 {
		c.Threads = j.Ranks.Threads
	}
	j.pool = kernel.NewPool(c.Threads)
	j.loop = train.NewLoop(c, o.PerStep(c.Batch*c.Context).Resolve(c.Steps), j.bundle.Model, j.bundle.Set, j.pool, j.batches)
	if err := j.loop.Join(j.Ranks.Group); err != nil {
		return fault.Usage(err)
	}
	return j.prefer()
}

// attach attaches the hooks in the order in which they run.
func (j *Job) attach() {
	l := j.loop
	l.Skipped = func(e *train.NonFiniteError) { j.tell(Skipped{e}) }
	l.Attach(j.Before)
	l.Attach(train.Hook{Name: "evaluate", Start: j.evalStart, Step: j.evalStep})
	if j.pruner != nil {
		if j.cfg.Teacher.Copy {
			l.Attach(train.Hook{Name: "teacher", Step: j.copyStep})
		}
		l.Attach(j.pruner.Hook())
	}
	if j.Ranks.lead() {
		l.Attach(train.Hook{Name: "samples", Step: j.sampleStep})
		l.Attach(train.Hook{Name: "metrics", Step: j.record})
		if j.cfg.Logging.TensorBoard {
			b := &board{job: j, dir: filepath.Join(j.cfg.Out, boardDir)}
			l.Attach(train.Hook{Name: "tensorboard", Start: b.start, Step: b.step, End: b.end})
		}
		l.Attach(train.Hook{
			Name:  "events",
			Start: func(l *train.Loop) error { j.tell(Began{l.Step, l.Steps}); return nil },
			Step:  func(l *train.Loop) error { j.tell(Stepped{l.Last}); return nil },
			End:   func(l *train.Loop) error { j.tell(Ended{l.Step, l.Steps}); return nil },
		})
	}
	l.Attach(train.Hook{Name: "checkpoint", Step: j.saveStep, End: j.saveEnd})
}

// tell passes an event on.
func (j *Job) tell(e Event) {
	if s, ok := e.(Stepped); ok {
		j.stage.Store(int64(s.Step))
	}
	if j.Notify != nil {
		j.Notify(e)
	}
}

// Step is the number of steps made so far. It may be called while Train runs.
func (j *Job) Step() int { return int(j.stage.Load()) }

// Close gives up everything that the job holds. A directory that Start made and to
// which nothing was written disappears again.
func (j *Job) Close() {
	j.release()
	j.dir.Close()
}

// release gives up everything but the run directory and the data.
func (j *Job) release() {
	if j.metrics != nil {
		j.metrics.Close()
	}
	if j.loop != nil {
		j.loop.Close()
	}
	if j.pool != nil {
		j.pool.Close()
	}
	j.bundle.Close()
	j.metrics, j.loop, j.pool, j.pruner, j.bundle = nil, nil, nil, nil, nil
}

// openBase opens the model that the run begins with; a new model has none.
func (j *Job) openBase() (err error) {
	if j.cfg.From == "" {
		return nil
	}
	if same(j.cfg.From, j.cfg.Out) {
		return fault.Usage(fmt.Errorf("out is the model that the run starts from, %s: give another directory", j.cfg.From))
	}
	if j.bundle, err = bundle.Open(j.cfg.From, bundle.Options{Weights: j.cfg.Train.DType()}); err != nil {
		return err
	}
	for _, note := range j.bundle.Notes {
		j.tell(Note(note))
	}
	switch j.bundle.Model.(type) {
	case model.Classifier, model.Encoder: // reading the data says what is missing
		return nil
	}
	return j.bundle.Text()
}

// same reports whether two paths are one directory.
func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
