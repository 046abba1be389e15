package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// stateFile stands beside a pruned model whose recovery has not ended, with the slabs
// that it needs.
const stateFile = "recovery.state"

const stateVersion = 1

// unfinished is the content of stateFile.
type unfinished struct {
	Version  int                 `json:"version"`
	Asked    string              `json:"asked"` // what was to be done, see asked
	Before   prune.Side          `json:"before"`
	Bytes    int64               `json:"bytes"` // of the weights before
	Memory   prune.PlannedMemory `json:"memory"`
	Trials   int                 `json:"trials"`
	Plan     json.RawMessage     `json:"plan"`
	Recovery recovery.State      `json:"recovery"`
}

// asked names what an interrupted pruning must have in common with the one that goes on.
func (p Pruning) asked(w Workload, options recovery.Options) (string, error) {
	options.Recompute = graph.KeepAll // which changes no bit, and goes by the memory that is left
	text, err := json.Marshal(struct {
		Config  coupled.Config
		Improve coupled.Improve
		Options recovery.Options
		Data    uint32
	}{p.Config, p.Improve, options, w.Checksum()})
	return string(text), err
}

// keep makes the job keep its recovery's state beside the pruned model in p.Out, whose
// weights are the best so far. Of a vocabulary that was cut there is no state.
func (p Pruning) keep(job *prune.Job, w Workload, b *bundle.Bundle) error {
	if job.Recovery == nil || job.Vocabulary != nil {
		return nil
	}
	asked, err := p.asked(w, job.Recovery.Options)
	if err != nil {
		return err
	}
	size := b.Bytes
	if p.Resume {
		if size, err = p.goOn(job, asked); err != nil {
			return fault.BadInput(err)
		}
	}
	job.SaveRecovery = func(r *prune.Result, st recovery.State, parts []recovery.Saved) error {
		u := unfinished{Version: stateVersion, Asked: asked, Before: r.Before, Bytes: size, Memory: r.MemoryBefore, Trials: r.Trials, Recovery: st}
		var plan bytes.Buffer
		if err := coupled.WritePlan(&plan, r.Plan()); err != nil {
			return err
		}
		u.Plan = plan.Bytes()
		files, err := b.Files(p.DType)
		if err != nil {
			return err
		}
		files = append(files, checkpoint.JSONFile(stateFile, u))
		for _, s := range parts {
			files = append(files, checkpoint.RunsFile(s.Name, s.Runs...))
		}
		return checkpoint.ReplaceDir(p.Out, files)
	}
	return nil
}

// errOther is returned for a state of something else.
var errOther = errors.New("the interrupted pruning had another target, budget, seed, method or text: give the same again, or prune anew with --force")

// goOn makes the job go on with what keep kept in p.Out; it returns the bytes of the
// weights before.
func (p Pruning) goOn(job *prune.Job, asked string) (int64, error) {
	root, err := os.OpenRoot(p.Out)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	var u unfinished
	err = checkpoint.ReadJSON(root, stateFile, &u)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("%s holds no interrupted recovery", p.Out)
	case err != nil:
		return 0, err
	case u.Version != stateVersion:
		return 0, fmt.Errorf("%s: %s has version %d, expected %d", p.Out, stateFile, u.Version, stateVersion)
	case u.Asked != asked:
		return 0, fmt.Errorf("%s: %w", p.Out, errOther)
	}
	plan, err := coupled.ReadPlan(bytes.NewReader(u.Plan))
	if err != nil {
		return 0, fmt.Errorf("%s: %s: %w", p.Out, stateFile, err)
	}
	job.Resumed = &prune.Resumed{Before: u.Before, Memory: u.Memory, Plan: plan, Trials: u.Trials, Bytes: u.Bytes}
	job.Recovery.From = &u.Recovery
	job.Recovery.Restore = func(parts []recovery.Saved) error {
		root, err := os.OpenRoot(p.Out)
		if err != nil {
			return err
		}
		defer root.Close()
		for _, s := range parts {
			if err := checkpoint.ReadRuns(root, s.Name, s.Runs...); err != nil {
				return fault.BadInput(err)
			}
		}
		return nil
	}
	return u.Bytes, nil
}
