package cmd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// state is what a checkpoint holds beside the model and the moments, so that a
// resumed run goes on as if nothing had happened.
type state struct {
	Version int             `json:"version"`
	Code    string          `json:"code"` // version of this program
	Path    string          `json:"path"` // kernels' CPU path
	Threads int             `json:"threads"`
	Step    int             `json:"step"`
	Updates int             `json:"updates"` // of the optimizer
	Tokens  int64           `json:"tokens"`
	Cursor  data.Cursor     `json:"cursor"`
	Data    uint32          `json:"data"` // checksum of the training tokens
	Goal    coupled.Goal    `json:"goal"`
	Events  []train.Event   `json:"events"`
	Evals   []evalPoint     `json:"evals"`
	Before  *train.Snapshot `json:"before"`
	Best    *evalPoint      `json:"best,omitempty"`
	Watched bool            `json:"evidence"` // evidence is in a file of its own

	dir string // from which it was read
}

const (
	stateVersion = 2
	stateFile    = "trainer.json"
	evidenceFile = "evidence.bin"
)

// save writes a checkpoint of the present step and makes it the newest.
func (j *job) save(l *train.Loop, slabs []optim.NamedSlab) error {
	files, err := j.modelFiles()
	if err != nil {
		return err
	}
	files = append(files, j.adapterFiles()...)
	best := j.best
	if n := len(j.evals); n > 0 && j.evals[n-1].Step == l.Step && j.evals[n-1].Loss < best.Loss {
		best = j.evals[n-1]
	}
	st := state{
		Version: stateVersion, Code: Version, Path: kernelPath(), Threads: j.pool.Threads(), Step: l.Step, Updates: l.Opt.Updates(), Tokens: l.Tokens,
		Cursor: j.data.Cursor(), Data: j.sum, Evals: j.evals, Before: j.before, Watched: l.Evidence != nil,
	}
	if j.pruner != nil {
		st.Goal, st.Events = j.pruner.Goal, j.pruner.Events
	}
	if !math.IsInf(best.Loss, 0) {
		st.Best = &best
	}
	files = append(files, checkpoint.JSONFile(stateFile, st))
	for _, s := range slabs {
		files = append(files, checkpoint.SlabFile(s.Name, s.Slab))
	}
	if l.Evidence != nil {
		files = append(files, checkpoint.File{Name: evidenceFile, Write: func(w io.Writer) error { return l.Evidence.Save(w, j.m.Family(), j.set) }})
	}
	err = j.dir.Save(l.Step, best.Step, files)
	if err == nil || errors.Is(err, checkpoint.ErrOldKept) {
		j.best, j.backs = best, 0
	}
	return err
}

// restore reads the model and the state of the newest good checkpoint. A run that
// ended before its first one has no state: nil.
func (j *job) restore() (st *state, err error) {
	good, err := checkpoint.Newest(j.run.Out, func(root *os.Root) (err error) {
		st, err = j.open(root)
		return err
	}, func(dir string, err error) {
		fmt.Fprintf(j.log, "checkpoint %s is not usable and is skipped: %s\n", dir, oneLine(err))
	})
	if list, lerr := checkpoint.Checkpoints(j.run.Out); errors.Is(err, checkpoint.ErrNoCheckpoint) && lerr == nil && len(list) == 0 {
		fmt.Fprintln(j.log, "the run has no checkpoint yet: it starts from the beginning")
		return nil, nil
	}
	if err != nil {
		return nil, fault.BadInput(err)
	}
	st.dir = good.Dir
	fmt.Fprintf(j.log, "going on from the checkpoint of step %d\n", st.Step)
	return st, nil
}

// open reads the model and the state of a checkpoint whose files are sound.
func (j *job) open(root *os.Root) (*state, error) {
	var st state
	if err := checkpoint.ReadJSON(root, stateFile, &st); err != nil {
		return nil, err
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("state of version %d, expected %d", st.Version, stateVersion)
	}
	if err := st.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	var err error
	j.m, j.set, err = model.Read(root)
	return &st, err
}

// check reports the first value that no run can have.
func (st *state) check() error {
	for _, v := range []struct {
		key string
		x   int64
	}{
		{"step", int64(st.Step)}, {"updates", int64(st.Updates)}, {"tokens", st.Tokens}, {"cursor.epoch", int64(st.Cursor.Epoch)},
		{"cursor.index", int64(st.Cursor.Index)}, {"goal.dense", int64(st.Goal.Dense)}, {"goal.params", int64(st.Goal.Params)}, {"goal.bytes", st.Goal.Bytes},
	} {
		if v.x < 0 || v.x > 1<<50 {
			return fmt.Errorf("%w: %s is %d, expected 0 to %d", checkpoint.ErrFormat, v.key, v.x, int64(1)<<50)
		}
	}
	return nil
}

// resume puts the loop where the checkpoint left it.
func (j *job) resume(st *state) error {
	l := j.loop
	if st.Data != j.sum && !j.other {
		return fault.BadInput(errors.New("the training text is not that of the interrupted run, so its place in it means nothing: put the text back, or allow a change of data.path"))
	}
	if st.Code != Version {
		fmt.Fprintf(j.log, "note: the run was at version %s, this is %s: the numbers can differ\n", st.Code, Version)
	}
	if st.Threads != j.pool.Threads() || st.Path != kernelPath() {
		fmt.Fprintf(j.log, "note: the run had %d threads on the %s path, now %d on %s: the numbers can differ in the last bits\n", st.Threads, st.Path, j.pool.Threads(), kernelPath())
	}
	root, err := os.OpenRoot(st.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := j.learn(root); err != nil {
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
	l.Step, l.Tokens = st.Step, st.Tokens
	l.Opt.SetUpdates(st.Updates)
	if st.Data == j.sum {
		if err := j.data.Seek(st.Cursor); err != nil {
			return fault.BadInput(err)
		}
	} else {
		fmt.Fprintln(j.log, "the training text is another one: it is read from its beginning")
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
	f, err := root.Open(evidenceFile)
	if err != nil {
		return fault.BadInput(err)
	}
	defer f.Close()
	size, err := f.Stat()
	if err == nil {
		l.Evidence, err = coupled.LoadEvidence(f, size.Size(), j.m.Family(), l.Set, nil)
	}
	return fault.BadInput(err)
}
