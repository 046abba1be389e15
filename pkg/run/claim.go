package run

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/train"
)

// look finds out, without changing anything, whether the directory holds a run and
// whether it may be used.
func (j *Job) look() error {
	dir := j.cfg.Out
	if err := ownFiles(dir); err != nil {
		return fault.BadInput(err)
	}
	_, err := os.Stat(File(dir))
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case !there && j.Mode == Continue:
		return fault.BadInput(fmt.Errorf("%s %w", dir, ErrNoRun))
	case !there:
		return nil
	case j.Mode == New && !j.Force:
		return fault.Usage(fmt.Errorf("%s %w", dir, ErrExists))
	case j.Mode == New:
		j.replace = true
		return nil
	}
	j.resuming = true
	j.previous, err = Config(dir)
	if j.cfg.Data.Pack == "" {
		j.cfg.Data.Pack = j.previous.Data.Pack
	}
	return err
}

// ownFiles refuses a run directory in which something that will be written to is
// a link to elsewhere.
func ownFiles(dir string) error {
	for _, name := range []string{".lock", "state", "plans", boardDir, copyDir, "metrics.jsonl", train.SummaryFile, "run.yaml"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && st.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link, expected a file or directory of the run's own", filepath.Join(dir, name))
		}
	}
	return nil
}

// finished reports whether the run has come to its end: its newest checkpoint is
// good and of the last step, and the summary of that step has been written.
func (j *Job) finished() (bool, error) {
	root, err := os.OpenRoot(j.cfg.Out)
	if err != nil {
		return false, err
	}
	defer root.Close()
	sum, err := train.ReadSummary(root)
	if err != nil { // none, or a damaged one: it is written anew
		return false, nil
	}
	list, err := checkpoint.Checkpoints(j.cfg.Out)
	if err != nil || len(list) == 0 || list[0].Err != nil || list[0].Step != sum.After.Step {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(j.cfg.Out, mergedDir)); j.Merge && err != nil {
		return false, nil
	}
	var st state
	good, err := checkpoint.Newest(j.cfg.Out, func(root *os.Root) (err error) {
		st, err = readState(root)
		return err
	}, func(string, error) {})
	if err != nil || good.Dir != list[0].Dir {
		return false, nil // restoring it says what is wrong
	}
	j.evals = st.Evals
	ended := st.Step >= j.cfg.Train.Steps && j.cfg.Train.Steps > 0 || j.patienceEnded()
	j.evals = nil
	if !ended || j.cfg.Train.Steps == 0 { // steps of train.epochs are known when the data are
		return false, nil
	}
	// Another configuration is refused as it is for a run that goes on.
	now := j.cfg
	if now.Train.Context == 0 {
		now.Train.Context = j.previous.Train.Context
	}
	now.Train = now.Train.Resolve(now.Train.Context)
	_, err = j.compare(now)
	return err == nil, err
}

// lock takes the run directory for this process.
func (j *Job) lock() (err error) {
	if !j.Ranks.lead() {
		return nil
	}
	if j.dir, err = checkpoint.OpenRun(j.cfg.Out, j.cfg.Checkpoint); err != nil {
		return err
	}
	j.dir.Disk = j.Disk
	return nil
}

// ranksAgree makes sure that all ranks have the same configuration, before any of
// them changes a file.
func (j *Job) ranksAgree() error {
	if !j.Ranks.many() {
		return nil
	}
	text, err := j.cfg.Encode()
	if err != nil {
		return err
	}
	return fault.Usage(dist.Agree(j.Ranks, "the configuration", sha256.Sum256(text)))
}

// writeConfig writes the effective configuration into the run directory, from which
// a run that is replaced is removed: everything else has been found in order.
func (j *Job) writeConfig() error {
	if !j.Ranks.lead() {
		return nil
	}
	if j.replace {
		j.replace = false
		for _, name := range []string{"state", "plans", boardDir, "metrics.jsonl", train.SummaryFile, "config.json", "model.safetensors", "tokenizer.json", checkpoint.BestLink, adapterDir, mergedDir, emaDir, copyDir} {
			if err := os.RemoveAll(filepath.Join(j.cfg.Out, name)); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(j.cfg.Out, 0o755); err != nil {
		return err
	}
	text, err := j.cfg.Encode()
	if err != nil {
		return err
	}
	return j.Disk.WriteFile(File(j.cfg.Out), text)
}

// compare lists the keys in which a configuration differs from the interrupted
// run's, as far as they are allowed to; others are a ChangedError. The directory's
// own name is no difference.
func (j *Job) compare(now config.Run) (allowed []config.Change, err error) {
	changes, err := config.Changes(j.previous, now)
	if err != nil {
		return nil, err
	}
	ok := map[string]bool{}
	for _, list := range j.Allow {
		for key := range strings.SplitSeq(list, ",") {
			ok[strings.TrimSpace(key)] = true
		}
	}
	var refused []config.Change
	for _, c := range changes {
		switch {
		case c.Key == "out":
		case ok[c.Key]:
			allowed = append(allowed, c)
		default:
			refused = append(refused, c)
		}
	}
	if len(refused) > 0 {
		return nil, fault.Usage(&ChangedError{refused})
	}
	return allowed, nil
}
