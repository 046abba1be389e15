package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// A run directory is itself a model directory: config.json, model.safetensors
// and tokenizer.json are links into the newest checkpoint, through the one link
// state/newest, so that all of them change in a single rename.
//
//	RUN/config.json -> state/newest/config.json
//	RUN/state/newest -> step-000400
//	RUN/state/step-000400/...
const (
	stateDir   = "state"
	newestLink = "newest"
	stepPrefix = "step-"
)

// Policy is the checkpoint section of a run file.
type Policy struct {
	Every     int  `yaml:"every"`      // steps between checkpoints; default (0) only at the end and on interruption
	KeepLast  int  `yaml:"keep_last"`  // newest checkpoints that are kept; default 2
	KeepEvery int  `yaml:"keep_every"` // keep those of every so many steps for good; default (0) none
	KeepBest  bool `yaml:"keep_best"`  // keep the one with the lowest validation loss; default false
}

// DefaultPolicy is the policy of a run file without a checkpoint section.
func DefaultPolicy() Policy { return Policy{KeepLast: 2} }

// Validate reports the first value that makes no sense, by key.
func (p Policy) Validate() error {
	switch {
	case p.Every < 0:
		return fmt.Errorf("checkpoint.every is %d steps, expected 0 or more", p.Every)
	case p.KeepLast < 1:
		return fmt.Errorf("checkpoint.keep_last is %d, expected 1 or more", p.KeepLast)
	case p.KeepEvery < 0:
		return fmt.Errorf("checkpoint.keep_every is %d steps, expected 0 or more", p.KeepEvery)
	}
	return nil
}

// Save writes the checkpoint of a step into a run directory, makes it the
// newest, and removes those that the policy does not keep; best is a step that
// stays (negative for none).
func (p Policy) Save(run string, step, best int, files []File) error {
	state := filepath.Join(run, stateDir)
	name := fmt.Sprintf("%s%06d", stepPrefix, step)
	dir := filepath.Join(state, name)
	if _, err := os.Lstat(dir); err == nil { // of an earlier run of the same steps
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := WriteDir(dir, files); err != nil {
		return err
	}
	if err := relink(name, filepath.Join(state, newestLink)); err != nil {
		return err
	}
	for _, f := range []string{configFile, weightsFile, tokenizerFile} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			continue
		}
		if err := relink(filepath.Join(stateDir, newestLink, f), filepath.Join(run, f)); err != nil {
			return err
		}
	}
	return p.prune(state, step, best)
}

// relink makes link point to target by a rename.
func relink(target, link string) error {
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	tmp := link + ".tmp"
	os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, link); err != nil {
		return err
	}
	return syncDir(filepath.Dir(link))
}

// prune removes checkpoints that the policy does not keep.
func (p Policy) prune(state string, newest, best int) error {
	steps, err := Steps(filepath.Dir(state))
	if err != nil {
		return err
	}
	var errs []error
	for i, s := range steps { // newest first
		if i < p.KeepLast || s == newest || p.KeepBest && s == best || p.KeepEvery > 0 && s%p.KeepEvery == 0 {
			continue
		}
		errs = append(errs, os.RemoveAll(StepDir(filepath.Dir(state), s)))
	}
	return errors.Join(errs...)
}

// StepDir is where a run keeps the checkpoint of a step.
func StepDir(run string, step int) string {
	return filepath.Join(run, stateDir, fmt.Sprintf("%s%06d", stepPrefix, step))
}

// Steps lists the steps of which a run has checkpoints, newest first.
func Steps(run string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(run, stateDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), stepPrefix)
		if n, err := strconv.Atoi(rest); ok && err == nil && e.IsDir() {
			steps = append(steps, n)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(steps)))
	return steps, nil
}
