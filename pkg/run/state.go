package run

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// state is trainer.json: what a checkpoint holds beside the model and the optimizer's
// slabs, so that a resumed run goes on as if nothing had happened.
type state struct {
	checkpoint.Trainer
	Cursor     data.Cursor     `json:"cursor"`
	Goal       coupled.Goal    `json:"goal"`
	PruneSteps int             `json:"prune_steps,omitempty"` // that the pruning schedule counts in; 0: the run's
	Events     []train.Event   `json:"events"`
	Evals      []EvalPoint     `json:"evals"`
	Before     *train.Snapshot `json:"before"`
	Best       *EvalPoint      `json:"best,omitempty"`
	Watched    bool            `json:"evidence"`            // evidence is in a file of its own
	GradNorm   float64         `json:"grad_norm,omitempty"` // of the newest step; optim.in_backward clips by it

	dir string // from which it was read
}

const (
	evidenceFile = "evidence.bin"
)

// save writes a checkpoint of the present step and makes it the newest.
func (j *Job) save(l *train.Loop, slabs []optim.NamedSlab) error {
	files, err := j.modelFiles()
	if err != nil {
		return err
	}
	best := j.best
	if n := len(j.evals); n > 0 && j.evals[n-1].Step == l.Step && j.evals[n-1].Loss < best.Loss {
		best = j.evals[n-1]
	}
	st := state{
		Trainer: checkpoint.Trainer{
			Version: checkpoint.TrainerVersion, Code: j.Version, Path: kernel.CurrentPath(), Threads: j.pool.Threads(),
			Step: l.Step, Updates: l.Opt.Updates(), Tokens: l.Tokens, Data: j.work.Checksum(),
		},
		Cursor: j.batches.Cursor(), Evals: j.evals, Before: j.before, Watched: l.Evidence != nil, GradNorm: l.Norm,
	}
	if j.pruner != nil {
		st.Goal, st.Events, st.PruneSteps = j.pruner.Goal, j.pruner.Events, j.pruner.Steps
	}
	if !math.IsInf(best.Loss, 0) {
		st.Best = &best
	}
	files = append(files, checkpoint.JSONFile(checkpoint.TrainerFile, st))
	for _, s := range slabs {
		files = append(files, checkpoint.SlabFile(s.Name, s.Slab))
	}
	if a := l.Average(); a != nil {
		files = append(files, checkpoint.SlabFile(train.AverageFile, a))
	}
	if l.Evidence != nil {
		files = append(files, checkpoint.File{Name: evidenceFile, Write: func(w io.Writer) error { return l.Evidence.Save(w, j.bundle.Model.Family(), j.bundle.Set) }})
	}
	err = j.dir.Save(l.Step, best.Step, files)
	if err == nil || errors.Is(err, checkpoint.ErrOldKept) {
		j.best, j.rollbacks = best, 0
	}
	return err
}

// restore reads the model and the state of the newest good checkpoint. A run that
// ended before its first one has no state: nil.
func (j *Job) restore() (st *state, err error) {
	good, err := checkpoint.Newest(j.cfg.Out, func(root *os.Root) (err error) {
		st, err = j.open(root)
		return err
	}, func(dir string, err error) { j.tell(Unusable{dir, err}) })
	if list, lerr := checkpoint.Checkpoints(j.cfg.Out); errors.Is(err, checkpoint.ErrNoCheckpoint) && lerr == nil && len(list) == 0 {
		j.tell(Note("the run has no checkpoint yet: it starts from the beginning"))
		return nil, nil
	}
	if err != nil {
		return nil, fault.BadInput(err)
	}
	st.dir = good.Dir
	j.stage.Store(int64(st.Step))
	j.tell(Resumed{st.Step})
	return st, nil
}

// open reads the model and the state of a checkpoint whose files are sound.
func (j *Job) open(root *os.Root) (*state, error) {
	st, err := readState(root)
	if err != nil {
		return nil, err
	}
	j.bundle.Close() // of a checkpoint that was not good
	j.bundle, err = bundle.Open(root.Name(), bundle.Options{KeepAdapters: true, Weights: j.cfg.Train.DType()})
	return &st, err
}

// readState reads trainer.json and checks what no run can have.
func readState(root *os.Root) (st state, err error) {
	if err := checkpoint.ReadJSON(root, checkpoint.TrainerFile, &st); err != nil {
		return st, err
	}
	if err := st.Check(); err != nil {
		return st, err
	}
	for _, v := range []struct {
		key string
		x   int64
	}{
		{"cursor.epoch", int64(st.Cursor.Epoch)}, {"cursor.index", int64(st.Cursor.Index)}, {"goal.dense", int64(st.Goal.Dense)},
		{"goal.params", int64(st.Goal.Params)}, {"goal.bytes", st.Goal.Bytes}, {"prune_steps", int64(st.PruneSteps)},
	} {
		if err := checkpoint.CheckCount(v.key, v.x); err != nil {
			return st, err
		}
	}
	return st, nil
}

// resume puts the loop where the checkpoint left it.
func (j *Job) resume(st *state) error {
	l := j.loop
	sum := j.work.Checksum()
	if st.Data != sum && !j.otherData {
		return fault.BadInput(errors.New("the training text is not that of the interrupted run, so the run cannot resume in the middle of it: restore the text, or allow a change of data.path"))
	}
	if st.Code != j.Version {
		j.tell(Note(fmt.Sprintf("note: the run was made by version %s, this is %s: the numbers can differ", st.Code, j.Version)))
	}
	if path := kernel.CurrentPath(); st.Threads != j.pool.Threads() || st.Path != path {
		j.tell(Note(fmt.Sprintf("note: the run had %d threads on the %s path, now %d on %s: the numbers can differ in the last bits", st.Threads, st.Path, j.pool.Threads(), path)))
	}
	root, err := os.OpenRoot(st.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := j.learn(st); err != nil {
		return err
	}
	slabs, done := l.StateSlabs()
	defer done()
	for _, s := range slabs {
		if err := checkpoint.ReadSlab(root, s.Name, s.Slab); err != nil {
			return fault.BadInput(err)
		}
	}
	l.SetState(slabs)
	if a := l.Average(); a != nil {
		if err := checkpoint.ReadSlab(root, train.AverageFile, a); err != nil {
			return fault.BadInput(err)
		}
	}
	l.Step, l.Tokens, l.Norm = st.Step, st.Tokens, st.GradNorm
	l.Opt.SetUpdates(st.Updates)
	if st.Data == sum {
		if err := j.batches.Seek(st.Cursor); err != nil {
			return fault.BadInput(err)
		}
	} else {
		j.tell(Note("the training text is another one: it is read from its beginning"))
	}
	j.evals, j.before = st.Evals, st.Before
	if st.Best != nil {
		j.best = *st.Best
	}
	if j.pruner == nil {
		return nil
	}
	j.pruner.Goal, j.pruner.Events = st.Goal, st.Events
	if !st.Watched {
		return nil
	}
	return fault.BadInput(j.resumeEvidence(root))
}

// resumeEvidence reads the evidence of a checkpoint.
func (j *Job) resumeEvidence(root *os.Root) error {
	f, err := root.Open(evidenceFile)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Stat()
	if err == nil {
		var e *coupled.Evidence
		if e, err = coupled.LoadEvidence(f, size.Size(), j.bundle.Model.Family(), j.loop.Set, nil); err == nil {
			j.loop.Gather(e)
		}
	}
	return err
}
