package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// failing is a file layer in which in every so many checkpoints an operation
// fails, once: in the i-th of these the i-th.
type failing struct {
	checkpoint.Layer
	every int
	after bool        // it takes effect all the same
	begin func(i int) // called before the i-th checkpoint, from 1

	saves, op int
	failed    []string
}

var errInjected = errors.New("injected fault")

func (f *failing) do(name, path string, effect func() error) error {
	if name == "mkdir" && strings.Contains(path, ".tmp-step-") {
		f.saves++
		f.op = 0
		if f.begin != nil {
			f.begin(f.saves)
		}
	}
	f.op++
	if f.every > 0 && f.saves > 0 && f.saves%f.every == 0 && f.op == f.saves/f.every {
		f.failed = append(f.failed, name+" "+filepath.Base(path))
		var err error
		if f.after {
			err = effect()
		}
		return errors.Join(fmt.Errorf("%s %s: %w", name, path, errInjected), err)
	}
	return effect()
}

func (f *failing) Mkdir(d string) error {
	return f.do("mkdir", d, func() error { return f.Layer.Mkdir(d) })
}
func (f *failing) Rename(a, b string) error {
	return f.do("rename", b, func() error { return f.Layer.Rename(a, b) })
}
func (f *failing) Symlink(a, b string) error {
	return f.do("symlink", b, func() error { return f.Layer.Symlink(a, b) })
}
func (f *failing) RemoveAll(p string) error {
	return f.do("remove", p, func() error { return f.Layer.RemoveAll(p) })
}
func (f *failing) SyncDir(d string) error {
	return f.do("syncdir", d, func() error { return f.Layer.SyncDir(d) })
}

func (f *failing) Create(p string) (file checkpoint.LayerFile, err error) {
	err = f.do("create", p, func() (err error) { file, err = f.Layer.Create(p); return err })
	if err != nil {
		return nil, err
	}
	return &failingFile{file, f, p}, nil
}

type failingFile struct {
	checkpoint.LayerFile
	f    *failing
	path string
}

func (f *failingFile) Write(p []byte) (n int, err error) {
	err = f.f.do("write", f.path, func() (err error) { n, err = f.LayerFile.Write(p); return err })
	return n, err
}
func (f *failingFile) Sync() error { return f.f.do("sync", f.path, f.LayerFile.Sync) }
func (f *failingFile) Close() error {
	return f.f.do("close", f.path, f.LayerFile.Close)
}

// TestEveryFaultOfACheckpoint lets a run save after every step. In every second
// save, or in every single one, another of its operations fails. The run goes on;
// its newest checkpoint is always sound, and of the save before the last at the
// latest where that had no fault; and it ends with the bytes of a run without faults.
func TestEveryFaultOfACheckpoint(t *testing.T) {
	more := []string{"train.steps=110", "checkpoint.every=1", "prune.end=0.95"} // more than twice the operations of a checkpoint
	whole := filepath.Join(scratch(t), "whole")
	c, o := tiny(t, whole, more...), Options{}
	if _, err := trained(t, c, o); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct {
		name  string
		every int
		after bool
	}{{"without effect", 2, false}, {"after its effect", 2, true}, {"in every save", 1, false}} {
		t.Run(fault.name, func(t *testing.T) {
			dir := filepath.Join(scratch(t), "run")
			c, o := tiny(t, dir, more...), Options{}
			f := &failing{Layer: checkpoint.System(), every: fault.every, after: fault.after}
			f.begin = func(i int) {
				if fault.every == 1 && i < 60 {
					return
				}
				if got := sound(t, dir); i > 2 && got < i-2 {
					t.Errorf("before checkpoint %d the newest sound one is of step %d", i, got)
				}
			}
			if fault.every == 2 {
				begin := f.begin
				f.begin = func(i int) {
					if i > 1 {
						begin(i)
					}
				}
			}
			o.Disk.Layer = f
			log, err := trained(t, c, o)
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			if f.saves != 110 || len(f.failed) < 42 {
				t.Errorf("%d saves, %d faults %q", f.saves, len(f.failed), f.failed)
			}
			for _, kind := range []string{"mkdir", "create", "write", "sync", "close", "syncdir", "rename", "symlink", "remove"} {
				if !strings.Contains(strings.Join(f.failed, "\n"), kind+" ") {
					t.Errorf("no %s failed: %q", kind, f.failed)
				}
			}
			failed, saved := told[SaveFailed](log), told[Saved](log)
			if len(failed) < 30 || len(failed)+len(saved) != 110 || failed[0].Next != failed[0].Step+1 || !errors.Is(failed[0].Err, errInjected) {
				t.Errorf("%d checkpoints failed and %d were saved:\n%s", len(failed), len(saved), log)
			}
			sameRun(t, whole, dir)
		})
	}
}

// TestLastCheckpointFails: a run whose last save fails says so, and where to go on.
func TestLastCheckpointFails(t *testing.T) {
	c, o := tiny(t, filepath.Join(t.TempDir(), "run"), "checkpoint.every=4"), Options{}
	o.Disk.Layer = &lastFails{failing{Layer: checkpoint.System()}}
	_, err := trained(t, c, o)
	if !errors.Is(err, errInjected) || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), "the newest good checkpoint is of step 8") {
		t.Errorf("error %v", err)
	}
	log, err := resumed(t, c.Out, Options{})
	if r := told[Resumed](log); err != nil || len(r) != 1 || r[0].Step != 8 {
		t.Errorf("%v\n%s", err, log)
	}
}

// lastFails lets the third checkpoint fail as a whole.
type lastFails struct{ failing }

func (f *lastFails) Mkdir(d string) error {
	if strings.Contains(d, ".tmp-step-") {
		if f.saves++; f.saves == 3 {
			return errInjected
		}
	}
	return f.Layer.Mkdir(d)
}
func (f *lastFails) Create(p string) (checkpoint.LayerFile, error) { return f.Layer.Create(p) }
func (f *lastFails) Rename(a, b string) error                      { return f.Layer.Rename(a, b) }
func (f *lastFails) Symlink(a, b string) error                     { return f.Layer.Symlink(a, b) }
func (f *lastFails) RemoveAll(p string) error                      { return f.Layer.RemoveAll(p) }
func (f *lastFails) SyncDir(d string) error                        { return f.Layer.SyncDir(d) }

func TestSecondProcessIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c, o := tiny(t, dir), Options{}
	other, err := checkpoint.OpenRun(dir, checkpoint.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = trained(t, c, o)
	if want := fmt.Sprintf("run directory %s: another process is using it (process %d)", dir, os.Getpid()); err == nil || err.Error() != want {
		t.Errorf("error %v, expected %s", err, want)
	}
}

func TestPreflightRefuses(t *testing.T) {
	old := available
	t.Cleanup(func() { available = old })
	available = func() (int64, string, bool) { return 1 << 10, "its control group", true }
	dir := filepath.Join(t.TempDir(), "run")
	c, o := tiny(t, dir), Options{}
	_, err := trained(t, c, o)
	if err == nil || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), "its control group has 1.0 KiB left") || !strings.Contains(err.Error(), "weights ") {
		t.Errorf("error %v, expected one with the numbers", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused run left its directory behind")
	}
	o.Force = true
	if log, err := trained(t, c, o); err != nil || !strings.Contains(log.String(), "note: training this model takes") {
		t.Errorf("with --force: %v\n%s", err, log)
	}
	// What is resident already is not asked for twice.
	available = func() (int64, string, bool) { return 100 << 20, "the machine", true }
	if _, err := resumed(t, dir, Options{Allow: []string{"train.steps"}}); !errors.Is(err, ErrFinished) {
		t.Errorf("a finished run: %v", err)
	}
	c.Train.Steps, o = 12, Options{Mode: Continue, Allow: []string{"train.steps"}}
	if _, err := trained(t, c, o); err != nil {
		t.Error(err)
	}
}

func TestLinksInARunDirectoryAreRefused(t *testing.T) {
	for _, name := range []string{".lock", "state", "plans", "metrics.jsonl", "run.yaml"} {
		tmp := t.TempDir()
		dir, target := filepath.Join(tmp, "run"), filepath.Join(tmp, "target")
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(target, []byte("keep"), 0o644), os.Symlink(target, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		c, o := tiny(t, dir), Options{}
		o.Force = true
		_, err := trained(t, c, o)
		if fault.Of(err) != fault.Input || !strings.Contains(err.Error(), name+" is a symbolic link") {
			t.Errorf("%s: error %v", name, err)
		}
		if b, _ := os.ReadFile(target); string(b) != "keep" {
			t.Errorf("%s: the link's target was written to: %q", name, b)
		}
	}
}
