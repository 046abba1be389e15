package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newRun(t *testing.T, p Policy) *Run {
	t.Helper()
	r, err := OpenRun(filepath.Join(t.TempDir(), "run"), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func save(t *testing.T, r *Run, step, best, seed int) {
	t.Helper()
	if err := r.Save(step, best, seeded(t, seed)); err != nil {
		t.Fatal(err)
	}
}

// names lists a run's checkpoints, newest first.
func names(t *testing.T, r *Run) (out []string) {
	t.Helper()
	list, err := Checkpoints(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		out = append(out, strings.TrimPrefix(filepath.Base(s.Dir), stepPrefix))
	}
	return out
}

func TestPolicyKeeps(t *testing.T) {
	for _, r := range []struct {
		name  string
		p     Policy
		steps []int
		best  []int // at each save
		want  string
	}{
		{"last", Policy{KeepLast: 2}, []int{10, 20, 30}, []int{-1, -1, -1}, "[000030 000020]"},
		{"every", Policy{KeepLast: 1, KeepEvery: 20}, []int{10, 20, 30, 40, 50}, []int{-1, -1, -1, -1, -1}, "[000050 000040 000020]"},
		{"best", Policy{KeepLast: 1, KeepBest: true}, []int{10, 20, 30, 40}, []int{10, 20, 20, 20}, "[000040 000020]"},
		{"best not asked for", Policy{KeepLast: 1}, []int{10, 20, 30}, []int{10, 10, 10}, "[000030]"},
		{"no step is best", Policy{KeepLast: 1, KeepBest: true}, []int{10, 20}, []int{-1, -1}, "[000020]"},
		{"one step twice", Policy{KeepLast: 1}, []int{10, 10}, []int{-1, -1}, "[000010.2]"},
		{"one step twice, kept", Policy{KeepLast: 2, KeepEvery: 10}, []int{10, 10, 20, 30}, []int{-1, -1, -1, -1}, "[000030 000020 000010.2]"},
		{"back to an earlier step", Policy{KeepLast: 2}, []int{10, 20, 15, 18}, []int{-1, -1, -1, -1}, "[000018 000015]"},
		{"many digits", Policy{KeepLast: 1}, []int{1234567}, []int{-1}, "[1234567]"},
	} {
		run := newRun(t, r.p)
		most := 0
		for i, step := range r.steps {
			save(t, run, step, r.best[i], i+1)
			most = max(most, len(names(t, run))+1)
		}
		if got := fmt.Sprint(names(t, run)); got != r.want {
			t.Errorf("%s: %s are kept, expected %s", r.name, got, r.want)
		}
		if seed, skipped, err := newestSeed(t, run.Dir); seed != len(r.steps) || len(skipped) > 0 || err != nil {
			t.Errorf("%s: newest is %d, %q, %v", r.name, seed, skipped, err)
		}
		if shown, err := shownSeed(t, run.Dir); shown != len(r.steps) || err != nil {
			t.Errorf("%s: the run directory shows %d, %v", r.name, shown, err)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	for want, p := range map[string]Policy{
		"checkpoint.every is -1 steps, expected 0 or more":      {Every: -1, KeepLast: 1},
		"checkpoint.keep_last is 0, expected 1 or more":         {},
		"checkpoint.keep_every is -5 steps, expected 0 or more": {KeepLast: 1, KeepEvery: -5},
	} {
		if err := p.Validate(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, expected %s", p, err, want)
		}
	}
	if err := DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
}

// TestPolicyMost counts, by playing runs through, how many checkpoints there are at most.
func TestPolicyMost(t *testing.T) {
	for _, p := range []Policy{{KeepLast: 2}, {Every: 10, KeepLast: 2}, {Every: 10, KeepLast: 1, KeepBest: true}, {Every: 10, KeepLast: 3, KeepEvery: 30}, {Every: 7, KeepLast: 1, KeepEvery: 14, KeepBest: true}} {
		for _, steps := range []int{1, 9, 10, 11, 35, 100} {
			var list []Saved
			most := 0
			for s := 1; s <= steps; s++ {
				if s != steps && (p.Every == 0 || s%p.Every != 0) {
					continue
				}
				list = append([]Saved{{Dir: fmt.Sprint(s), Step: s}}, list...)
				most = max(most, len(list))
				kept := p.kept(list, p.Every) // the first one is the best
				var left []Saved
				for _, c := range list {
					if kept[c.Dir] {
						left = append(left, c)
					}
				}
				list = left
			}
			if got := p.Most(steps); got < most || got > most+2 {
				t.Errorf("%+v, %d steps: at most %d at once, expected %d", p, steps, got, most)
			}
		}
	}
}

// TestDamagedIsSkipped damages the newest checkpoint in every way and finds the
// one before it, with the damaged one named; the run then goes on, and retention
// neither counts nor removes what is damaged.
func TestDamagedIsSkipped(t *testing.T) {
	flip := func(file string, at int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[(at+len(b))%len(b)] ^= 1
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, r := range map[string]struct {
		damage func(*testing.T, string)
		want   string
	}{
		"a bit of a weight":   {flip(weightsFile, -3), "model.safetensors has SHA-256"},
		"a bit of a moment":   {flip("moment.f32", 5), "moment.f32 has SHA-256"},
		"a bit of the config": {flip(configFile, 2), "config.json has SHA-256"},
		"a bit of the step":   {flip(manifestFile, 32), "manifest.json: it is damaged"},
		"a bit of a checksum": {flip(manifestFile, -20), "manifest.json: it is damaged"},
		"the first bit":       {flip(manifestFile, 0), "manifest.json: it is damaged"},
		"cut short": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, weightsFile), 100); err != nil {
				t.Fatal(err)
			}
		}, "model.safetensors has 100 bytes, its manifest says"},
		"no tokenizer":   {remove(tokenizerFile), "tokenizer.json: no such file"},
		"no manifest":    {remove(manifestFile), "manifest.json: no such file"},
		"empty manifest": {func(t *testing.T, dir string) { os.WriteFile(filepath.Join(dir, manifestFile), nil, 0o644) }, "manifest.json: it is damaged: EOF"},
		"a link elsewhere": {func(t *testing.T, dir string) {
			other := filepath.Join(t.TempDir(), "config.json")
			if err := os.Rename(filepath.Join(dir, configFile), other); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(other, filepath.Join(dir, configFile)); err != nil {
				t.Fatal(err)
			}
		}, "config.json: path escapes from parent"},
	} {
		t.Run(name, func(t *testing.T) {
			run := newRun(t, Policy{KeepLast: 2})
			save(t, run, 10, -1, 1)
			save(t, run, 20, -1, 2)
			r.damage(t, filepath.Join(run.Dir, stateDir, "step-000020"))
			seed, skipped, err := newestSeed(t, run.Dir)
			if seed != 1 || err != nil || len(skipped) != 1 || !strings.HasPrefix(skipped[0], "step-000020: ") || !strings.Contains(skipped[0], r.want) {
				t.Fatalf("newest is %d, %v; skipped %q, expected %q", seed, err, skipped, r.want)
			}
			if strings.Contains(skipped[0], "\n") {
				t.Errorf("the message has several lines: %q", skipped[0])
			}
			// On from step 10: the damaged 20 is in the way of the new one.
			save(t, run, 20, -1, 3)
			save(t, run, 30, -1, 4)
			save(t, run, 40, -1, 5)
			if _, err := os.Stat(filepath.Join(run.Dir, stateDir, "step-000030")); err != nil {
				t.Errorf("the damaged checkpoint counts as kept: %q", names(t, run))
			}
			if seed, _, err := newestSeed(t, run.Dir); seed != 5 || err != nil {
				t.Errorf("newest is %d, %v", seed, err)
			}
			if shown, err := shownSeed(t, run.Dir); shown != 5 || err != nil {
				t.Errorf("the run directory shows %d, %v", shown, err)
			}
		})
	}
}

func TestNoCheckpoint(t *testing.T) {
	run := newRun(t, DefaultPolicy())
	if _, _, err := newestSeed(t, run.Dir); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("an empty run: %v", err)
	}
	save(t, run, 10, -1, 1)
	_, err := Newest(run.Dir, func(*os.Root) error { return errors.New("of another version") }, func(dir string, err error) {
		if filepath.Base(dir) != "step-000010" || err.Error() != "of another version" {
			t.Errorf("skipped %s: %v", dir, err)
		}
	})
	if !errors.Is(err, ErrNoCheckpoint) || !strings.Contains(err.Error(), "1 were tried") {
		t.Errorf("none is good: %v", err)
	}
}

// TestSaveRefuses: what cannot be written leaves everything as it was.
func TestSaveRefuses(t *testing.T) {
	run := newRun(t, Policy{KeepLast: 1})
	save(t, run, 10, -1, 1)
	bad := errors.New("bad")
	for name, files := range map[string][]File{
		"a file that fails":     append(seeded(t, 2), File{Name: "x", Write: func(io.Writer) error { return bad }}),
		"a name twice":          append(seeded(t, 2), BytesFile(configFile, nil)),
		"a path":                append(seeded(t, 2), BytesFile("../x", nil)),
		"the manifest":          append(seeded(t, 2), BytesFile(manifestFile, nil)),
		"a directory":           append(seeded(t, 2), BytesFile(".", nil)),
		"nothing":               append(seeded(t, 2), BytesFile("", nil)),
		"a number not a number": append(seeded(t, 2), nanSlab(t)),
	} {
		if err := run.Save(20, -1, files); err == nil {
			t.Errorf("%s: saved", name)
		}
		if seed, _, err := newestSeed(t, run.Dir); seed != 1 || err != nil {
			t.Errorf("%s: newest is %d, %v", name, seed, err)
		}
		if left := leftovers(t, run.Dir); len(left) > 0 {
			t.Errorf("%s: %q is left", name, left)
		}
	}
}

func TestOpenRunSweeps(t *testing.T) {
	run := newRun(t, DefaultPolicy())
	save(t, run, 10, -1, 1)
	run.Close()
	half := filepath.Join(run.Dir, stateDir, ".tmp-step-000020-1")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, weightsFile), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := OpenRun(run.Dir, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if left := leftovers(t, run.Dir); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	if got := names(t, again); !reflect.DeepEqual(got, []string{"000010"}) {
		t.Errorf("checkpoints %q", got)
	}
}

// TestSecondProcessIsRefused takes a run directory from two processes. When the
// first is killed the directory is free.
func TestSecondProcessIsRefused(t *testing.T) {
	if dir := os.Getenv("ECOSPA_LOCK_TEST"); dir != "" { // the other process
		r, err := OpenRun(dir, DefaultPolicy())
		if err != nil {
			fmt.Println("refused:", err)
			return
		}
		fmt.Println("taken")
		time.Sleep(time.Minute)
		r.Close()
		return
	}
	dir := filepath.Join(t.TempDir(), "run")
	first := exec.Command(os.Args[0], "-test.run=TestSecondProcessIsRefused$")
	first.Env = append(os.Environ(), "ECOSPA_LOCK_TEST="+dir)
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "taken\n" {
		t.Fatalf("the first process says %q, %v", line, err)
	}
	_, err = OpenRun(dir, DefaultPolicy())
	want := fmt.Sprintf("run directory %s: another process is using it (process %d)", dir, first.Process.Pid)
	if !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Errorf("the second process: %v, expected %s", err, want)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	r, err := OpenRun(dir, DefaultPolicy())
	if err != nil {
		t.Fatalf("after the first process has died: %v", err)
	}
	if _, err := OpenRun(dir, DefaultPolicy()); !errors.Is(err, ErrLocked) {
		t.Errorf("twice in one process: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock file stays: %v", err)
	}
}

// TestUntouchedRunDisappears: a run that is refused before its first checkpoint
// leaves no directory behind.
func TestUntouchedRunDisappears(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := OpenRun(dir, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the empty run directory stays: %v", err)
	}
	if r, err = OpenRun(dir, DefaultPolicy()); err != nil {
		t.Fatal(err)
	}
	save(t, r, 10, -1, 1)
	r.Close()
	if seed, _, err := newestSeed(t, dir); seed != 1 || err != nil {
		t.Errorf("newest is %d, %v", seed, err)
	}
}

func TestRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "made", "yet")
	free, known, err := Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		t.Skip("this system does not say how much room there is")
	}
	if free <= 0 {
		t.Fatalf("%d bytes are free", free)
	}
	if _, err := Room(dir, 1); err != nil {
		t.Error(err)
	}
	if _, err := Room(dir, free*2); !errors.Is(err, ErrSpace) || !strings.Contains(err.Error(), "MB are free") {
		t.Errorf("twice what is free: %v", err)
	}
}

func TestTotal(t *testing.T) {
	files := seeded(t, 1)
	dir := filepath.Join(t.TempDir(), "m")
	if err := WriteDir(dir, files); err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for _, name := range []string{configFile, weightsFile, tokenizerFile, "moment.f32"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want += st.Size()
	}
	if got := Total(files); got != want {
		t.Errorf("%d bytes are foretold, expected %d", got, want)
	}
}

// TestFolderOfAFile: folders above a file that is written are made; a file in the place of a
// directory is refused by name.
func TestFolderOfAFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a", "b", "c.bin")
	if err := WriteFile(file, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "x" {
		t.Errorf("%q (%v)", text, err)
	}
	if err := WriteFile(filepath.Join(file, "d"), nil); err == nil {
		t.Error("a file was written under a file")
	}
	if err := Replaceable(file); err == nil || !strings.Contains(err.Error(), "c.bin is a file, expected the name of a directory") {
		t.Error(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none"), ""} {
		if err := Replaceable(path); err != nil {
			t.Error(err)
		}
	}
}
