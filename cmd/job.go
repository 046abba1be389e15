package cmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// job is a training run: what the run file says, made into things.
type job struct {
	ranks    ranks
	dir      *checkpoint.Run // nil on ranks that do not write
	run      config.Run      // effective: defaults that depend on other values filled in
	over     bool            // an older run in the directory makes way
	force    bool            // go on with too little memory or disk
	log      io.Writer
	disk     checkpoint.Disk
	first    train.Hook
	corpus   data.Corpus
	tok      tokenizer.Tokenizer
	sum      uint32          // checksum of the training tokens
	other    bool            // they may be others than those of the interrupted run
	tokens   data.Tokens     // training tokens
	held     data.Tokens     // validation tokens
	command  string          // subcommand, for messages
	from     *loaded         // model that the run begins with; nil for a new one
	adapters *train.Adapters // trained instead of the weights; nil for none
	m        model.Model
	set      *param.Set
	pool     *kernel.Pool
	data     batches
	pics     *pictures // nil for text
	loop     *train.Loop
	pruner   *train.Pruner // nil for a dense run
	show     *progress

	metrics *train.Metrics
	evals   []evalPoint
	best    evalPoint       // lowest validation loss of a checkpoint
	before  *train.Snapshot // at the first pruning event
	recent  []train.Record
	planned train.Memory // of the newest line of metrics.jsonl that says it
	spike   train.Spike
	mute    bool  // it has been said that metrics.jsonl cannot be written
	unsaved error // of the End hook's checkpoint
	backs   int   // times that the run went back since the last checkpoint
}

// batches is where training batches come from, and how to go back to one.
type batches interface {
	train.Batches
	Seek(data.Cursor) error
	Cursor() data.Cursor
}

// evalPoint is an evaluation during the run.
type evalPoint struct {
	Step int     `json:"step"`
	Loss float64 `json:"loss"`           // nats a token, or an image
	Top1 float64 `json:"top1,omitempty"` // share of images that are classified rightly
}

func runFile(dir string) string { return filepath.Join(dir, "run.yaml") }

// prepare makes everything that training needs, from the start or, to resume,
// from the newest good checkpoint.
func prepare(run config.Run, o PretrainOptions, log io.Writer) (j *job, err error) {
	j = &job{run: run, log: log, force: o.Force, disk: o.disk, first: o.first, best: evalPoint{Step: -1, Loss: math.Inf(1)}, ranks: o.ranks.orAlone(), command: o.command}
	if j.command == "" {
		j.command = "pretrain"
	}
	defer func() {
		if err != nil {
			j.close()
		}
	}()
	if err := run.Validate(); err != nil {
		return j, fault.Usage(err)
	}
	if !o.Resume || run.Train.Context == 0 {
		if err := j.source(); err != nil {
			return j, err
		}
	}
	j.run.Train = run.Train.Resolve(j.context())
	if err := j.claim(o); err != nil {
		return j, err
	}
	if err := j.agree(); err != nil {
		return j, fault.Usage(err)
	}
	if err := j.read(); err != nil {
		return j, err
	}
	var saved *state
	if o.Resume {
		if saved, err = j.restore(); err != nil {
			return j, err
		}
	}
	if saved == nil {
		err = j.fresh()
	} else {
		err = j.afford(j.set, 4*int64(j.set.Len()))
	}
	if err != nil {
		return j, err
	}
	return j, j.assemble(saved)
}

// fresh makes the model of the run file with initial weights.
func (j *job) fresh() (err error) {
	if j.run.From != "" {
		if err := j.source(); err != nil {
			return err
		}
		if j.run.NewClassifier {
			if err := j.reclassify(); err != nil {
				return err
			}
		}
		j.m, j.set = j.from.m, j.from.set
		j.from.root.Close()
		if err := j.fits(); err != nil {
			return err
		}
		return j.afford(j.set, 4*int64(j.set.Len()))
	}
	if j.pics != nil {
		j.m, err = j.classes()
	} else {
		j.m, err = j.reader()
	}
	if err != nil {
		return err
	}
	shapes, err := param.Layout(j.m.Specs())
	if err != nil {
		return fault.Usage(err)
	}
	if err := j.fits(); err != nil {
		return err
	}
	if err := j.afford(shapes, 0); err != nil {
		return err
	}
	if j.set, err = param.New(j.m.Specs()); err != nil {
		return fault.Usage(err)
	}
	j.set.Init(j.run.Train.Seed)
	return nil
}

// reader makes the model of the run file for the text that was read.
func (j *job) reader() (model.Model, error) {
	s := j.run.Model
	if s.Context == 0 {
		s.Context = j.run.Train.Context
	}
	if s.Vocab == 0 && s.Name == "" {
		s.Vocab = j.tok.Vocab()
	}
	m, err := model.New(s)
	return m, fault.Usage(err)
}

// assemble attaches the hooks; saved is the state of an interrupted run, or nil.
func (j *job) assemble(saved *state) (err error) {
	c := j.run.Train
	if err := j.fits(); err != nil {
		return err
	}
	if j.set.Count() == 0 {
		return errors.New("the model has no parameters")
	}
	if c.Threads == 0 {
		c.Threads = j.ranks.threads()
	}
	j.pool = kernel.NewPool(c.Threads)
	j.loop = train.NewLoop(c, j.run.Optim.Resolve(c.Steps), j.m, j.set, j.pool, j.data)
	if err := j.loop.Join(j.ranks.Group); err != nil {
		return fault.Usage(err)
	}
	if saved == nil {
		if err := j.learn(nil); err != nil {
			return err
		}
	}
	if j.run.Prune.Enabled() {
		if err := errors.Join(j.run.Prune.CheckTraining(), j.run.Prune.Check(j.set)); err != nil {
			return fault.Usage(err)
		}
		j.pruner = &train.Pruner{Config: j.run.Prune, Footprint: j.footprint, Dir: filepath.Join(j.run.Out, "plans"), Report: j.reportEvent, Failed: j.planFailed}
		if n := j.run.Prune.Calibration; n > 0 {
			if j.pruner.Calibration, err = j.calibration(n); err != nil {
				return fault.BadInput(err)
			}
		}
		if saved == nil {
			if j.pruner.Goal, err = j.goal(); err != nil {
				return fault.Usage(err)
			}
		}
	}
	if saved != nil {
		if err := j.resume(saved); err != nil {
			return err
		}
	}
	if j.enough() {
		j.loop.Steps = j.loop.Step
	}
	if err := j.settle(); err != nil {
		return err
	}
	if j.ranks.lead() {
		if j.metrics, err = train.OpenMetrics(filepath.Join(j.run.Out, "metrics.jsonl"), j.loop.Step); err != nil {
			return err
		}
	} else if j.loop.Evidence != nil {
		j.loop.Evidence.Reset() // the lead has what was seen
	}
	j.show = newProgress(j.log, c.Steps)
	j.loop.Skipped = j.reportSkipped
	j.loop.Attach(j.first)
	j.loop.Attach(train.Hook{Name: "evaluate", Start: j.evalStart, Step: j.evalStep})
	if j.pruner != nil {
		j.loop.Attach(j.pruner.Hook())
	}
	if j.ranks.lead() {
		j.loop.Attach(train.Hook{Name: "metrics", Step: j.record})
		j.loop.Attach(j.show.Hook())
	}
	j.loop.Attach(train.Hook{Name: "checkpoint", Step: j.saveStep, End: j.saveEnd})
	return nil
}

// fits reports whether the model takes the data.
func (j *job) fits() error {
	switch c := j.run.Train; {
	case j.pics != nil && c.Context != j.m.Context():
		return fault.Usage(fmt.Errorf("train.context is %d tokens, but an image is %d to the model: leave it out", c.Context, j.m.Context()))
	case j.pics != nil:
		return nil
	case j.tok.Vocab() > j.m.Vocab():
		return fault.Usage(fmt.Errorf("model.vocab is %d, but the tokenizer has %d ids", j.m.Vocab(), j.tok.Vocab()))
	case c.Context > j.m.Context():
		return fault.Usage(fmt.Errorf("train.context is %d tokens, but the model's context is %d", c.Context, j.m.Context()))
	}
	return nil
}

// goal is the size at which the run is to end.
func (j *job) goal() (coupled.Goal, error) {
	return j.run.Prune.Goal(j.set, j.footprint)
}

// footprint is the training memory of a model of some shapes, in bytes.
func (j *job) footprint(shapes *param.Set) (int64, error) {
	m, err := train.Footprint(j.own(), j.run.Optim, j.run.LoRA, j.m, shapes, false)
	return m.Total(), err
}

func (j *job) close() {
	j.release()
	j.dir.Close()
}

// release gives up everything but the run directory, the data and the tokenizer.
func (j *job) release() {
	if j.metrics != nil {
		j.metrics.Close()
	}
	if j.loop != nil {
		j.loop.Close()
	}
	if j.pool != nil {
		j.pool.Close()
	}
	if j.set != nil {
		j.set.Weights.Close()
	}
	j.metrics, j.loop, j.pool, j.pruner, j.set, j.adapters = nil, nil, nil, nil, nil, nil
}
