package cmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// full is a disk on which there is no room.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// TestOutputThatCannotBeWritten is an error of every command, but quiet when the reader
// has left.
func TestOutputThatCannotBeWritten(t *testing.T) {
	tmp := t.TempDir()
	dir, text := filepath.Join(tmp, "m"), filepath.Join(tmp, "t.txt")
	mustRun(t, small(dir, "prune.target=", "train.steps=2", "train.sample=0")...)
	if err := os.WriteFile(text, []byte(strings.Repeat("Anna was a small fox who lived by the river.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"inspect", dir}, {"inspect", dir, "--json"}, {"eval", "--model", dir, "--data", text}, {"eval", "--model", dir, "--data", text, "--json"},
		{"prune", "--from", dir, "--data", text, "--target", "0.8x", "--dry-run"}, {"generate", "--model", dir, "--prompt", "a", "--tokens", "2"},
		{"export", "--model", dir, "--format", "hf", "--pad", "--out", filepath.Join(tmp, "h"), "--force"},
	} {
		var log bytes.Buffer
		code := runOn(t.Context(), alone, append([]string{"ecospa"}, args...), strings.NewReader(""), full{errors.New("no space left on device")}, &log)
		if code != exitFailure || !strings.Contains(log.String(), "no space left") {
			t.Errorf("%v: exit code %d, %q", args, code, log.String())
		}
	}
	var log bytes.Buffer
	if code := runOn(t.Context(), alone, []string{"ecospa", "inspect", dir}, nil, full{syscall.EPIPE}, &log); code != exitFailure || log.Len() > 0 {
		t.Errorf("a closed pipe: exit code %d, %q", code, log.String())
	}
}

// TestInspectChecksTheFiles: the header and the shapes always, every byte with --verify.
func TestInspectChecksTheFiles(t *testing.T) {
	tmp := t.TempDir()
	dir := filepath.Join(tmp, "m")
	mustRun(t, small(dir, "prune.target=", "train.steps=2", "train.sample=0")...)
	if out, _ := mustRun(t, "ecospa", "inspect", dir, "--verify"); !strings.Contains(out, "SHA-256") {
		t.Errorf("a sound model: %s", out)
	}
	svg := filepath.Join(tmp, "g.svg")
	if out, _ := mustRun(t, "ecospa", "inspect", dir, "--graph", svg); !strings.Contains(out, svg) {
		t.Errorf("--graph does not name its file: %s", out)
	}
	weights, err := filepath.EvalSymlinks(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at     int
		verify bool // only --verify finds it
	}{"the header": {0, false}, "a number": {len(sound) - 3, true}} {
		spoiled := bytes.Clone(sound)
		spoiled[c.at] ^= 0x55
		if err := os.WriteFile(weights, spoiled, 0o644); err != nil {
			t.Fatal(err)
		}
		want := exitBadInput
		if c.verify {
			want = exitOK
		}
		if code, _, log := runCommand(t, t.Context(), "ecospa", "inspect", dir); code != want {
			t.Errorf("%s damaged: exit code %d, %q", name, code, log)
		}
		if code, _, log := runCommand(t, t.Context(), "ecospa", "inspect", dir, "--verify"); code != exitBadInput || !strings.Contains(log, "model.safetensors") {
			t.Errorf("%s damaged, --verify: exit code %d, %q", name, code, log)
		}
	}
}
