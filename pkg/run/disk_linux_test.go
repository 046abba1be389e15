package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/train"
)

// tmpfs mounts a file system of its own.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: mounting a tmpfs needs privileges (%v); the injected faults of TestEveryFaultOfACheckpoint ran all the same", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull fills a 20 MB disk up in the midst of a run and empties it again:
// the run goes on, says what it cannot write, and writes it later.
func TestDiskFull(t *testing.T) {
	more := []string{"train.steps=42", "checkpoint.every=3", "prune.start=0.3", "prune.end=0.7", "prune.events=3"}
	whole := filepath.Join(scratch(t), "whole")
	c, o := tiny(t, whole, more...), Options{}
	if _, err := trained(t, c, o); err != nil {
		t.Fatal(err)
	}

	disk := tmpfs(t, "20m")
	dir, ballast := filepath.Join(disk, "run"), filepath.Join(disk, "ballast")
	c, o = tiny(t, dir, more...), Options{}
	o.Before = train.Hook{Name: "disk", Step: func(l *train.Loop) error {
		switch l.Step {
		case 7:
			f, err := os.Create(ballast)
			if err != nil {
				return err
			}
			defer f.Close()
			for err == nil { // to the last byte
				_, err = f.Write(make([]byte, 4096))
			}
			if !errors.Is(err, unix.ENOSPC) {
				return err
			}
			for err = nil; err == nil; {
				_, err = f.Write([]byte{0})
			}
		case 31:
			if got := sound(t, dir); got != 6 {
				t.Errorf("on the full disk the newest good checkpoint is of step %d, expected 6", got)
			}
			return os.Remove(ballast)
		}
		return nil
	}}
	log, err := trained(t, c, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for _, step := range []int{9, 12, 15, 18, 21, 24, 27, 30} {
		if want := fmt.Sprintf("step %d: the checkpoint could not be written", step); !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	for _, want := range []string{"metrics.jsonl cannot be written", "a pruning plan cannot be written", "the newest good checkpoint is of step 6"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "step 33: the checkpoint") {
		t.Errorf("the disk was free again at step 33:\n%s", log)
	}
	sameRun(t, whole, dir)
	samePlans(t, whole, dir)
}

// TestTooSmallADisk: a run whose checkpoints have no room does not begin.
func TestTooSmallADisk(t *testing.T) {
	c, o := tiny(t, filepath.Join(tmpfs(t, "1m"), "run"), "checkpoint.every=1", "checkpoint.keep_last=2000", "train.steps=5000"), Options{}
	_, err := trained(t, c, o)
	if err == nil || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), "not enough room on the disk") || !strings.Contains(err.Error(), "2001 of ") {
		t.Errorf("error %v", err)
	}
}

// TestReadOnlyDisk makes the checkpoints' directory read-only in the midst of a run.
func TestReadOnlyDisk(t *testing.T) {
	more := []string{"train.steps=20", "checkpoint.every=4"}
	whole := filepath.Join(scratch(t), "whole")
	c, o := tiny(t, whole, more...), Options{}
	if _, err := trained(t, c, o); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(tmpfs(t, "20m"), "run")
	state := filepath.Join(dir, "state")
	c, o = tiny(t, dir, more...), Options{}
	o.Before = train.Hook{Name: "disk", Step: func(l *train.Loop) error {
		switch l.Step {
		case 5:
			return errors.Join(unix.Mount(state, state, "", unix.MS_BIND, ""), unix.Mount("", state, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		case 14:
			if got := sound(t, dir); got != 4 {
				t.Errorf("on the read-only disk the newest good checkpoint is of step %d, expected 4", got)
			}
			return unix.Unmount(state, 0)
		}
		return nil
	}}
	log, err := trained(t, c, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for _, step := range []int{8, 12} {
		if want := fmt.Sprintf("step %d: the checkpoint could not be written", step); !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "read-only file system") {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "step 16: the checkpoint") {
		t.Errorf("the disk was writable again at step 16:\n%s", log)
	}
	sameRun(t, whole, dir)
}

// TestReadOnlyDirectory: a run in a directory that cannot be written to does not begin.
func TestReadOnlyDirectory(t *testing.T) {
	disk := tmpfs(t, "1m")
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	c, o := tiny(t, filepath.Join(disk, "run")), Options{}
	if _, err := trained(t, c, o); err == nil || fault.Of(err) != fault.Failure || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("error %v", err)
	}
}
