package cmd

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

// claim makes sure that the run directory may be used.
func (j *job) claim(o PretrainOptions) error {
	dir := j.run.Out
	if err := ownFiles(dir); err != nil {
		return fault.BadInput(err)
	}
	_, err := os.Stat(runFile(dir))
	switch {
	case o.Resume && errors.Is(err, os.ErrNotExist):
		return fault.BadInput(fmt.Errorf("--resume: %s holds no run (no run.yaml)", dir))
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case o.Resume:
		before, err := config.Load(runFile(dir), nil)
		if err != nil {
			return fault.BadInput(err)
		}
		if err := j.allowed(before, o.Allow); err != nil {
			return fault.Usage(err)
		}
	case err == nil && !o.Force:
		return fault.Usage(fmt.Errorf("%s holds a run already: go on with --resume, start over with --force, or choose another --out", dir))
	case err == nil:
		j.over = true
	}
	if !j.ranks.lead() {
		return nil
	}
	if j.dir, err = checkpoint.OpenRun(dir, j.run.Checkpoint); err != nil {
		return err
	}
	j.dir.Disk = j.disk
	return nil
}

// agree makes sure that all ranks have read the same configuration, before any of
// them changes a file.
func (j *job) agree() error {
	if !j.ranks.many() {
		return nil
	}
	text, err := j.run.Encode()
	if err != nil {
		return err
	}
	return dist.Agree(j.ranks, "the configuration", sha256.Sum256(text))
}

// ownFiles refuses a run directory in which something that will be written to is
// a link to elsewhere.
func ownFiles(dir string) error {
	for _, name := range []string{".lock", "state", "plans", "metrics.jsonl", train.SummaryFile, "run.yaml"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && st.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link, expected a file or directory of the run's own", filepath.Join(dir, name))
		}
	}
	return nil
}

// settle writes the effective configuration into the run directory, from which an
// older run that is started over goes: everything else has been found in order.
func (j *job) settle() error {
	if !j.ranks.lead() {
		return nil
	}
	if j.over {
		j.over = false
		for _, name := range []string{"state", "plans", "metrics.jsonl", train.SummaryFile, "config.json", "model.safetensors", "tokenizer.json", checkpoint.BestLink, adapterDir, mergedDir} {
			if err := os.RemoveAll(filepath.Join(j.run.Out, name)); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(j.run.Out, 0o755); err != nil {
		return err
	}
	text, err := j.run.Encode()
	if err != nil {
		return err
	}
	return j.disk.WriteFile(runFile(j.run.Out), text)
}

// allowed refuses changes of the configuration that were not asked for, and says
// those that were.
func (j *job) allowed(before config.Run, allow []string) error {
	changes, err := config.Changes(before, j.run)
	if err != nil {
		return err
	}
	ok := map[string]bool{"out": true}
	for _, list := range allow {
		for key := range strings.SplitSeq(list, ",") {
			ok[strings.TrimSpace(key)] = true
		}
	}
	var refused, keys []string
	for _, c := range changes {
		if ok[c.Key] {
			fmt.Fprintf(j.log, "changed since the run was interrupted: %s\n", c)
			j.other = j.other || strings.HasPrefix(c.Key, "data.")
			continue
		}
		refused, keys = append(refused, c.String()), append(keys, c.Key)
	}
	if len(refused) > 0 {
		return fmt.Errorf("the configuration differs from the interrupted run's: %s; go on with --allow-change %s, or leave it as it was", strings.Join(refused, ", "), strings.Join(keys, ","))
	}
	return nil
}
