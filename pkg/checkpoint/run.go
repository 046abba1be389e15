package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// A run directory is itself a model directory: config.json, model.safetensors
// and tokenizer.json are links into the newest checkpoint, through the one link
// state/newest, so that all of them change in a single rename.
//
//	RUN/config.json -> state/newest/config.json
//	RUN/state/newest -> step-000400
//	RUN/state/step-000400/...
//
// A checkpoint directory is complete from the moment on that it has its name,
// and never written to again. A second checkpoint of one step (a resumed run
// that stopped at once) gets a name of its own, step-000400.2; the sequence
// number in its manifest says which of two checkpoints is the newer.
const (
	stateDir   = "state"
	newestLink = "newest"
	stepPrefix = "step-"
)

// ErrOldKept is returned when a checkpoint has been saved and is the newest, but
// an older one, which the policy does not keep, cannot be removed.
var ErrOldKept = errors.New("checkpoint: saved, but an older one could not be removed")

// Run is a run directory that belongs to this process.
type Run struct {
	Dir    string
	Policy Policy
	Disk   Disk
	lock   *lock
	made   []string // directories that OpenRun made, the deepest first
}

// OpenRun makes the run directory, takes its lock, and removes what an
// interrupted process has left half-written. It fails with ErrLocked while
// another process has the directory; a lock whose process has died is free.
func OpenRun(dir string, p Policy) (*Run, error) {
	r := &Run{Dir: dir, Policy: p, made: missing(dir)}
	if err := (Disk{}).mkdirAll(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	l, err := takeLock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("run directory %s: %w", dir, err)
	}
	r.lock = l
	for _, d := range []string{dir, filepath.Join(dir, stateDir)} {
		if err := r.Disk.sweep(d); err != nil {
			return nil, errors.Join(err, l.release())
		}
	}
	return r, nil
}

// missing lists a directory and those above it that are not there, the deepest first.
func missing(dir string) (list []string) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return list
		}
		list = append(list, dir)
	}
}

// Close lets go of the run directory. Directories that OpenRun has made and that
// nothing was written to disappear again.
func (r *Run) Close() error {
	if r == nil || r.lock == nil {
		return nil
	}
	err := r.lock.release()
	r.lock = nil
	for _, dir := range r.made {
		if os.Remove(dir) != nil { // fails, as it should, when the directory is not empty
			break
		}
	}
	return err
}

// Save writes the checkpoint of a step, makes it the newest, and removes those
// that the policy does not keep; best is a step that stays (negative for none).
// When it fails, the newest checkpoint is the one that it was before; with
// ErrOldKept it is the new one.
func (r *Run) Save(step, best int, files []File) error {
	state := filepath.Join(r.Dir, stateDir)
	list, err := Checkpoints(r.Dir)
	if err != nil {
		return err
	}
	m := Manifest{Step: step, Sequence: 1}
	for _, s := range list {
		m.Sequence = max(m.Sequence, s.Sequence+1)
	}
	name := fmt.Sprintf("%s%06d", stepPrefix, step)
	for i := 2; ; i++ {
		if _, err := os.Lstat(filepath.Join(state, name)); err != nil {
			break
		}
		name = fmt.Sprintf("%s%06d.%d", stepPrefix, step, i)
	}
	if err := r.Disk.writeDir(filepath.Join(state, name), m, files); err != nil {
		return err
	}
	if err := r.publish(name, files); err != nil {
		return err
	}
	if err := r.retain(best); err != nil {
		return fmt.Errorf("%w: %w", ErrOldKept, err)
	}
	return nil
}

// publish makes a checkpoint what the run directory shows.
func (r *Run) publish(name string, files []File) error {
	if err := r.relink(name, filepath.Join(r.Dir, stateDir, newestLink)); err != nil {
		return err
	}
	for _, f := range files {
		if name, _, _ := strings.Cut(f.Name, "/"); f.Model { // a folder as a whole
			if err := r.relink(filepath.Join(stateDir, newestLink, name), filepath.Join(r.Dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// BestLink is the name under which LinkBest leaves a checkpoint in the run directory.
const BestLink = "best"

// LinkBest makes RUN/best, a model directory, the checkpoint of a step. A step that
// is not there changes nothing.
func (r *Run) LinkBest(step int) error {
	list, err := Checkpoints(r.Dir)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Step == step && c.Err == nil {
			return r.relink(filepath.Join(stateDir, filepath.Base(c.Dir)), filepath.Join(r.Dir, BestLink))
		}
	}
	return nil
}

// relink makes link point to target by a rename.
func (r *Run) relink(target, link string) error {
	if old, err := os.Readlink(link); err == nil && old == target {
		return nil
	}
	l := r.Disk.layer()
	tmp := temporary(link)
	if err := l.Symlink(target, tmp); err != nil {
		return fmt.Errorf("link %s to %s: %w", link, target, err)
	}
	if err := l.Rename(tmp, link); err != nil {
		_ = l.RemoveAll(tmp)
		return err
	}
	return l.SyncDir(filepath.Dir(link))
}

// retain removes checkpoints that the policy does not keep. Damaged ones neither
// count nor go: whoever wants to save something from them can.
func (r *Run) retain(best int) error {
	list, err := Checkpoints(r.Dir)
	if err != nil {
		return err
	}
	var whole []Saved
	for _, s := range list {
		if s.Err == nil {
			whole = append(whole, s)
		}
	}
	keep := r.Policy.kept(whole, best)
	l := r.Disk.layer()
	if err := r.Disk.sweep(filepath.Join(r.Dir, stateDir)); err != nil {
		return err
	}
	// They leave the list at once, durably, and the disk after that.
	var gone []string
	for _, s := range whole {
		if keep[s.Dir] {
			continue
		}
		to := temporary(s.Dir)
		if err := l.Rename(s.Dir, to); err != nil {
			return err
		}
		gone = append(gone, to)
	}
	if len(gone) == 0 {
		return nil
	}
	if err := l.SyncDir(filepath.Join(r.Dir, stateDir)); err != nil {
		return err
	}
	for _, dir := range gone {
		if err := l.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// Saved is one checkpoint of a run.
type Saved struct {
	Dir      string
	Step     int
	Sequence int   // counts the run's checkpoints
	Err      error // why it is not usable, as far as a look at names and lengths tells
}

// Checkpoints lists the checkpoints of a run, newest first, damaged ones last.
func Checkpoints(run string) ([]Saved, error) {
	state := filepath.Join(run, stateDir)
	entries, err := os.ReadDir(state)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Saved
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stepPrefix) {
			continue
		}
		s := Saved{Dir: filepath.Join(state, e.Name())}
		s.Step, s.Sequence, s.Err = glance(s.Dir)
		list = append(list, s)
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if (a.Err == nil) != (b.Err == nil) {
			return a.Err == nil
		}
		return a.Sequence > b.Sequence
	})
	return list, nil
}

// glance is what a checkpoint's manifest says, if its files have their lengths.
func glance(dir string) (step, sequence int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, 0, err
	}
	defer root.Close()
	m, err := ReadManifest(root)
	if err == nil {
		err = m.intact(root)
	}
	return m.Step, m.Sequence, err
}

// ErrNoCheckpoint is returned when a run has no usable checkpoint.
var ErrNoCheckpoint = errors.New("checkpoint: no usable checkpoint")

// Newest opens the newest checkpoint of a run that is good: its files are those
// of the manifest, byte by byte, and open, which reads it, returns no error.
// One that is not is named to skipped, with the reason, and the one before it is
// tried; so are all that are plainly damaged, whose place in the order is not
// known. It fails with ErrNoCheckpoint when none is good.
func Newest(run string, open func(root *os.Root) error, skipped func(dir string, err error)) (Saved, error) {
	list, err := Checkpoints(run)
	if err != nil {
		return Saved{}, err
	}
	for _, s := range list {
		if s.Err != nil {
			skipped(s.Dir, s.Err)
		}
	}
	for _, s := range list {
		if s.Err != nil {
			continue
		}
		if s.Err = try(s.Dir, open); s.Err == nil {
			return s, nil
		}
		skipped(s.Dir, s.Err)
	}
	return Saved{}, fmt.Errorf("%w in %s: %d were tried", ErrNoCheckpoint, filepath.Join(run, stateDir), len(list))
}

func try(dir string, open func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := Verify(root); err != nil {
		return err
	}
	return open(root)
}
