package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// seeded is the files of a small checkpoint whose every byte depends on seed.
func seeded(t testing.TB, seed int) []File {
	t.Helper()
	set := fill(t, map[string][]int{"a": {3, 5}, "b": {7}}, "a", "b")
	for i := range set.Weights.Data {
		set.Weights.Data[i] += float32(100 * seed)
	}
	m := Model{Config: fmt.Appendf(nil, `{"seed": %d}`, seed), Tokenizer: fmt.Appendf(nil, `{"tokenizer": %d}`, seed)}
	files := m.Files(set, seededTensors, "F32")
	return append(files, SlabFile("moment.f32", set.Weights), JSONFile("trainer.json", map[string]int{"seed": seed}))
}

var seededTensors = []Tensor{{Name: "x", Parts: []Part{{Param: "a", Perm: []int{1, 0}}}}, {Name: "y", Parts: []Part{{Param: "b"}}}}

// scratch is a directory in memory where the system has one, for tests that make
// thousands of files.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ecospa-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// smallSet is the parameters of a seeded checkpoint.
func smallSet(t testing.TB) *param.Set {
	t.Helper()
	set, err := param.New([]param.Spec{{Name: "a", Dims: []param.Dim{{Size: 3}, {Size: 5}}}, {Name: "b", Dims: []param.Dim{{Size: 7}}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// readSeed reads what seeded wrote, and fails when its files are of several seeds.
func readSeed(t testing.TB, root *os.Root) (seed int, err error) {
	t.Helper()
	set := smallSet(t)
	defer set.Weights.Close()
	moment := param.NewSlab(len(set.Weights.Data))
	defer moment.Close()
	m, err := ReadModel(root)
	if err != nil {
		return 0, err
	}
	var c, s struct {
		Seed int `json:"seed"`
	}
	if err := errors.Join(ReadJSON(root, "config.json", &c), ReadJSON(root, "trainer.json", &s), ReadSlab(root, "moment.f32", moment),
		ReadWeights(root, set, seededTensors, nil)); err != nil {
		return 0, err
	}
	weight := (int(set.Param("a").Data()[0]) - 1) / 100
	if c.Seed != s.Seed || weight != c.Seed || int(moment.Data[0]-1)/100 != c.Seed || string(m.Tokenizer) != fmt.Sprintf(`{"tokenizer": %d}`, c.Seed) {
		return 0, fmt.Errorf("config of %d, state of %d, weights of %d, %s", c.Seed, s.Seed, weight, m.Tokenizer)
	}
	return c.Seed, nil
}

// newestSeed is what the newest good checkpoint of a run holds.
func newestSeed(t testing.TB, run string) (seed int, skipped []string, err error) {
	t.Helper()
	_, err = Newest(run, func(root *os.Root) (err error) {
		seed, err = readSeed(t, root)
		return err
	}, func(dir string, err error) { skipped = append(skipped, filepath.Base(dir)+": "+err.Error()) })
	return seed, skipped, err
}

// shownSeed is what a run directory shows as a model directory.
func shownSeed(t testing.TB, run string) (int, error) {
	t.Helper()
	set := smallSet(t)
	defer set.Weights.Close()
	root, err := os.OpenRoot(run)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	var c struct {
		Seed int `json:"seed"`
	}
	if err := errors.Join(ReadJSON(root, "config.json", &c), ReadWeights(root, set, seededTensors, nil)); err != nil {
		return 0, err
	}
	if w := (int(set.Param("a").Data()[0]) - 1) / 100; w != c.Seed {
		return 0, fmt.Errorf("config of %d beside weights of %d", c.Seed, w)
	}
	return c.Seed, nil
}

// errFaulty is what a faulty layer fails with.
var errFaulty = errors.New("injected fault")

// faulty counts operations and makes one of them fail.
type faulty struct {
	osLayer
	ops   []string
	at    int  // the operation that fails, from 1; 0 for none
	after bool // it takes effect first
	dead  bool // all later ones fail as well, without effect: the process has been killed
	lone  bool // Exchange is not to be had
}

func (l *faulty) do(op, path string, f func() error) error {
	l.ops = append(l.ops, op+" "+filepath.Base(path))
	n := len(l.ops)
	if n == l.at && l.after {
		if err := f(); err != nil {
			return err
		}
	}
	if n == l.at || l.dead && l.at > 0 && n > l.at {
		return fmt.Errorf("%s %s: %w", op, path, errFaulty)
	}
	return f()
}

func (l *faulty) Mkdir(d string) error {
	return l.do("mkdir", d, func() error { return l.osLayer.Mkdir(d) })
}
func (l *faulty) Rename(a, b string) error {
	return l.do("rename", b, func() error { return l.osLayer.Rename(a, b) })
}
func (l *faulty) Exchange(a, b string) error {
	if l.lone {
		return errors.ErrUnsupported
	}
	return l.do("exchange", b, func() error { return l.osLayer.Exchange(a, b) })
}
func (l *faulty) Symlink(a, b string) error {
	return l.do("symlink", b, func() error { return l.osLayer.Symlink(a, b) })
}
func (l *faulty) RemoveAll(p string) error {
	return l.do("remove", p, func() error { return l.osLayer.RemoveAll(p) })
}
func (l *faulty) SyncDir(d string) error {
	return l.do("syncdir", d, func() error { return l.osLayer.SyncDir(d) })
}

func (l *faulty) Create(p string) (LayerFile, error) {
	var f LayerFile
	err := l.do("create", p, func() (err error) { f, err = l.osLayer.Create(p); return err })
	return &faultyFile{f, l, p}, err
}

type faultyFile struct {
	LayerFile
	l    *faulty
	path string
}

// Write fails half-way: the first half of the bytes is written.
func (f *faultyFile) Write(p []byte) (int, error) {
	n := len(f.l.ops) + 1
	if n == f.l.at && !f.l.after {
		_, _ = f.LayerFile.Write(p[:len(p)/2])
	}
	err := f.l.do("write", f.path, func() error { _, err := f.LayerFile.Write(p); return err })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
func (f *faultyFile) Sync() error { return f.l.do("sync", f.path, f.LayerFile.Sync) }

// Close closes the file in any case, or the test would run out of them.
func (f *faultyFile) Close() error {
	err := f.l.do("close", f.path, func() error { return nil })
	return errors.Join(err, f.LayerFile.Close())
}

// leftovers lists what a run directory must not hold.
func leftovers(t testing.TB, run string) (names []string) {
	t.Helper()
	if err := filepath.WalkDir(run, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), tmpPrefix) {
			names = append(names, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestEveryOperationFailsOnce saves a second checkpoint over a first, under the
// harshest policy, and makes every operation fail in turn: with and without
// having taken effect, and with the process dead from then on. What is left is
// one of the two checkpoints, whole; what the run directory shows is of one
// piece; the next checkpoint is saved as if nothing had happened.
func TestEveryOperationFailsOnce(t *testing.T) {
	t.Parallel()
	first, second, third := seeded(t, 1), seeded(t, 2), seeded(t, 3)
	policy := Policy{KeepLast: 1}
	for _, mode := range []faulty{{}, {after: true}, {dead: true}} {
		total := 1
		for k := 1; k <= total; k++ {
			run := filepath.Join(scratch(t), "run")
			r, err := OpenRun(run, policy)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Save(10, -1, first); err != nil {
				t.Fatal(err)
			}
			if k == 1 { // how many operations there are
				count := &faulty{}
				r.Disk.Layer = count
				if err := r.Save(20, -1, second); err != nil {
					t.Fatal(err)
				}
				total = len(count.ops)
				if total < 30 {
					t.Fatalf("only %d operations: %q", total, count.ops)
				}
				r.Close()
				run = filepath.Join(scratch(t), "run")
				if r, err = OpenRun(run, policy); err != nil {
					t.Fatal(err)
				}
				if err := r.Save(10, -1, first); err != nil {
					t.Fatal(err)
				}
			}
			l := mode
			l.at = k
			r.Disk.Layer = &l
			serr := r.Save(20, -1, second)
			what := fmt.Sprintf("%q fails (after %v, dead %v)", l.ops[k-1], mode.after, mode.dead)
			if serr != nil && !errors.Is(serr, errFaulty) {
				t.Errorf("%s: %v", what, serr)
			}
			if serr != nil && strings.Contains(serr.Error(), "\n") {
				t.Errorf("%s: the message has several lines: %q", what, serr)
			}
			seed, skipped, err := newestSeed(t, run)
			if err != nil || len(skipped) > 0 || seed != 1 && seed != 2 || (serr == nil || errors.Is(serr, ErrOldKept)) && seed != 2 {
				t.Fatalf("%s: save says %v; newest is %d, %q, %v", what, serr, seed, skipped, err)
			}
			if shown, err := shownSeed(t, run); err != nil || shown != 1 && shown != 2 {
				t.Fatalf("%s: the run directory shows %d, %v", what, shown, err)
			}
			if !mode.dead { // the process goes on
				r.Disk.Layer = nil
				if err := r.Save(30, -1, third); err != nil {
					t.Fatalf("%s: the next checkpoint: %v", what, err)
				}
				if left := leftovers(t, filepath.Join(run, stateDir)); len(left) > 0 {
					t.Errorf("%s: after the next checkpoint %q is left", what, left)
				}
			}
			r.Close()
			if r, err = OpenRun(run, policy); err != nil {
				t.Fatal(err)
			}
			if left := leftovers(t, run); len(left) > 0 {
				t.Errorf("%s: %q is left", what, left)
			}
			if mode.dead {
				if err := r.Save(30, -1, third); err != nil {
					t.Fatalf("%s: the next checkpoint: %v", what, err)
				}
			}
			if seed, _, err := newestSeed(t, run); err != nil || seed != 3 {
				t.Errorf("%s: after the next checkpoint the newest is %d, %v", what, seed, err)
			}
			if shown, err := shownSeed(t, run); err != nil || shown != 3 {
				t.Errorf("%s: after the next checkpoint the run directory shows %d, %v", what, shown, err)
			}
			if list, err := Checkpoints(run); err != nil || len(list) != 1 {
				t.Errorf("%s: %d checkpoints are kept, %v; expected 1", what, len(list), err)
			}
			r.Close()
		}
	}
}

// TestReplaceFails does the same to ReplaceDir, with and without Exchange, and
// to WriteFile: the older one or the newer one is there, whole.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	first, second := seeded(t, 1), seeded(t, 2)
	for _, mode := range []faulty{{}, {after: true}, {dead: true}, {lone: true}, {lone: true, after: true}, {lone: true, dead: true}} {
		for k, total := 1, 1; k <= total; k++ {
			dir := filepath.Join(scratch(t), "model")
			if err := WriteDir(dir, first); err != nil {
				t.Fatal(err)
			}
			l := mode
			l.at = k
			if k == 1 {
				l.at = 0
			}
			err := Disk{&l}.ReplaceDir(dir, second)
			if k == 1 {
				total = len(l.ops) + 1
				if err != nil || total < 20 {
					t.Fatalf("%v; %q", err, l.ops)
				}
			}
			what := fmt.Sprintf("mode %+v", l)
			root, oerr := os.OpenRoot(dir)
			if oerr != nil && mode.lone && mode.dead {
				// Two renames: the older one is whole under its temporary name.
				left := leftovers(t, filepath.Dir(dir))
				for _, d := range left {
					if root, oerr = os.OpenRoot(d); oerr != nil {
						break
					}
					if seed, err := readSeed(t, root); err == nil && seed == 1 {
						break
					}
					root.Close()
				}
			}
			if oerr != nil {
				t.Fatalf("%s: %v", what, oerr)
			}
			seed, rerr := readSeed(t, root)
			root.Close()
			if rerr != nil || seed != 1 && seed != 2 || err == nil && seed != 2 {
				t.Fatalf("%s: replace says %v, then %d is there, %v", what, err, seed, rerr)
			}
		}
		for k := 1; k <= 6; k++ {
			path := filepath.Join(scratch(t), "run.yaml")
			if err := WriteFile(path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			l := mode
			l.at = k
			err := Disk{&l}.WriteFile(path, []byte("new"))
			text, rerr := os.ReadFile(path)
			if rerr != nil || string(text) != "old" && string(text) != "new" || err == nil && string(text) != "new" {
				t.Errorf("write a file, %q fails: %v, then %q, %v", l.ops[k-1], err, text, rerr)
			}
			if left := leftovers(t, filepath.Dir(path)); len(left) > 0 && !mode.dead {
				t.Errorf("write a file, %q fails: %q is left", l.ops[k-1], left)
			}
		}
	}
}
