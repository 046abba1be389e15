package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"
)

// A model of a disk that loses power. Names in a directory become durable in
// order, at the latest when the directory is synced; what a file holds becomes
// durable when it is synced. Before that, any first part of a directory's newer
// names may have arrived, and any first part of a file's bytes.

// node is a file, a link or a directory, as the process sees it and as the disk has it.
type node struct {
	link    string
	data    []byte
	synced  []byte
	names   map[string]*node // nil for files and links
	durable map[string]*node
	pending []func(map[string]*node) // changes of names that are not durable yet
}

func newDir() *node { return &node{names: map[string]*node{}, durable: map[string]*node{}} }

// change carries out a change of names that becomes durable later.
func (n *node) change(f func(map[string]*node)) {
	f(n.names)
	n.pending = append(n.pending, f)
}

func (n *node) sync() {
	for _, f := range n.pending {
		f(n.durable)
	}
	n.pending = nil
}

// crash writes what may be left of the node to path.
func (n *node) crash(t *testing.T, path string, rng *rand.Rand, luck int) {
	t.Helper()
	part := func(k int) int { // none, all, or some
		switch luck {
		case 0:
			return 0
		case 1:
			return k
		}
		return rng.IntN(k + 1)
	}
	var err error
	switch {
	case n.link != "":
		err = os.Symlink(n.link, path)
	case n.names == nil:
		left := n.synced
		if len(n.data) > len(n.synced) {
			left = n.data[:len(n.synced)+part(len(n.data)-len(n.synced))]
		}
		err = os.WriteFile(path, left, 0o644)
	default:
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		left := map[string]*node{}
		for name, c := range n.durable {
			left[name] = c
		}
		for _, f := range n.pending[:part(len(n.pending))] {
			f(left)
		}
		var names []string
		for name := range left {
			names = append(names, name)
		}
		sort.Strings(names) // the random choices must not depend on a map
		for _, name := range names {
			left[name].crash(t, filepath.Join(path, name), rng, luck)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// recorder is a Layer that does everything for real, and to the model.
type recorder struct {
	osLayer
	root  string
	disk  *node
	after func(op string) // called after every operation
}

// at is the directory that holds path, and the path's last name.
func (r *recorder) at(path string) (*node, string) {
	rel, err := filepath.Rel(r.root, path)
	if err != nil {
		panic(err)
	}
	n := r.disk
	var parts []string
	for p := filepath.Dir(rel); p != "."; p = filepath.Dir(p) {
		parts = append(parts, filepath.Base(p))
	}
	for i := len(parts) - 1; i >= 0; i-- {
		n = n.names[parts[i]]
	}
	return n, filepath.Base(rel)
}

func (r *recorder) get(path string) *node {
	if path == r.root {
		return r.disk
	}
	d, name := r.at(path)
	return d.names[name]
}

func (r *recorder) done(op, path string, err error) error {
	if err == nil && r.after != nil {
		r.after(op + " " + filepath.Base(path))
	}
	return err
}

func (r *recorder) add(path string, n *node) {
	d, name := r.at(path)
	d.change(func(m map[string]*node) { m[name] = n })
}

func (r *recorder) Mkdir(dir string) error {
	err := r.osLayer.Mkdir(dir)
	if err == nil {
		r.add(dir, newDir())
	}
	return r.done("mkdir", dir, err)
}

func (r *recorder) Symlink(target, link string) error {
	err := r.osLayer.Symlink(target, link)
	if err == nil {
		r.add(link, &node{link: target})
	}
	return r.done("symlink", link, err)
}

func (r *recorder) Rename(from, to string) error {
	err := r.osLayer.Rename(from, to)
	if err == nil {
		d, a := r.at(from)
		e, b := r.at(to)
		if d != e {
			panic("a rename across directories")
		}
		d.change(func(m map[string]*node) { m[b] = m[a]; delete(m, a) })
	}
	return r.done("rename", to, err)
}

func (r *recorder) Exchange(from, to string) error {
	err := r.osLayer.Exchange(from, to)
	if err == nil {
		d, a := r.at(from)
		_, b := r.at(to)
		d.change(func(m map[string]*node) { m[a], m[b] = m[b], m[a] })
	}
	return r.done("exchange", to, err)
}

func (r *recorder) RemoveAll(path string) error {
	err := r.osLayer.RemoveAll(path)
	if n := r.get(path); err == nil && n != nil {
		for name := range n.names {
			n.change(func(m map[string]*node) { delete(m, name) })
		}
		d, name := r.at(path)
		d.change(func(m map[string]*node) { delete(m, name) })
	}
	return r.done("remove", path, err)
}

func (r *recorder) SyncDir(dir string) error {
	err := r.osLayer.SyncDir(dir)
	r.get(dir).sync()
	return r.done("syncdir", dir, err)
}

func (r *recorder) Create(path string) (LayerFile, error) {
	f, err := r.osLayer.Create(path)
	n := &node{}
	if err == nil {
		r.add(path, n)
	}
	return &recorderFile{f, r, n, path}, r.done("create", path, err)
}

type recorderFile struct {
	LayerFile
	r    *recorder
	n    *node
	path string
}

func (f *recorderFile) Write(p []byte) (int, error) {
	n, err := f.LayerFile.Write(p)
	f.n.data = append(f.n.data, p[:n]...)
	return n, f.r.done("write", f.path, err)
}

func (f *recorderFile) Sync() error {
	f.n.synced = slices.Clone(f.n.data)
	return f.r.done("sync", f.path, nil)
}

// TestPowerLoss saves three checkpoints one over the other under the harshest
// policy and cuts the power after every operation, in several ways each. What is
// left is the checkpoint before or the one being saved, whole, once the first
// one has been saved.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	run := filepath.Join(scratch(t), "run")
	r, err := OpenRun(run, Policy{KeepLast: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rec := &recorder{root: run, disk: newDir()}
	r.Disk.Layer = rec
	rng := rand.New(rand.NewPCG(3, 4))
	saved, images := 0, 0
	rec.after = func(op string) {
		for luck := range 4 {
			image := filepath.Join(scratch(t), "run")
			rec.disk.crash(t, image, rng, luck)
			images++
			seed, skipped, err := newestSeed(t, image)
			if saved == 0 {
				if err == nil && seed != 1 {
					t.Fatalf("power lost after %q: %d is there", op, seed)
				}
				continue
			}
			if err != nil || len(skipped) > 0 || seed != saved && seed != saved+1 {
				t.Fatalf("power lost after %q, way %d: newest is %d of %d, %q, %v", op, luck, seed, saved, skipped, err)
			}
			if shown, err := shownSeed(t, image); err != nil || shown != saved && shown != saved+1 {
				t.Fatalf("power lost after %q, way %d: the run directory shows %d, %v", op, luck, shown, err)
			}
		}
	}
	for i := 1; i <= 3; i++ {
		if err := r.Save(10*i, -1, seeded(t, i)); err != nil {
			t.Fatal(err)
		}
		saved = i
		rec.after(fmt.Sprint("the return of save ", i)) // what has been saved stays
		image := filepath.Join(scratch(t), "run")
		rec.disk.crash(t, image, rng, 0)
		if seed, _, err := newestSeed(t, image); err != nil || seed != i {
			t.Fatalf("power lost after save %d: newest is %d, %v", i, seed, err)
		}
	}
	if images < 250 {
		t.Errorf("only %d images were tried", images)
	}
}

// TestPowerLossWhileReplacing is the same for ReplaceDir and WriteFile.
func TestPowerLossWhileReplacing(t *testing.T) {
	t.Parallel()
	top := scratch(t)
	dir, path := filepath.Join(top, "model"), filepath.Join(top, "run.yaml")
	rec := &recorder{root: top, disk: newDir()}
	d := Disk{rec}
	if err := d.WriteDir(dir, seeded(t, 1)); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(path, []byte("old text")); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	durable := func(seed int, text string) { // what has been written when the functions return
		t.Helper()
		image := scratch(t)
		rec.disk.crash(t, image, rng, 0)
		root, err := os.OpenRoot(filepath.Join(image, "model"))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if got, err := readSeed(t, root); err != nil || got != seed {
			t.Errorf("after the write %d is there, %v; expected %d", got, err, seed)
		}
		if got, err := os.ReadFile(filepath.Join(image, "run.yaml")); err != nil || string(got) != text {
			t.Errorf("after the write run.yaml is %q, %v; expected %q", got, err, text)
		}
	}
	durable(1, "old text")
	rec.after = func(op string) {
		for luck := range 4 {
			image := scratch(t)
			rec.disk.crash(t, image, rng, luck)
			root, err := os.OpenRoot(filepath.Join(image, "model"))
			if err != nil {
				t.Fatalf("power lost after %q, way %d: %v", op, luck, err)
			}
			err = Verify(root)
			seed, rerr := readSeed(t, root)
			root.Close()
			if err != nil || rerr != nil || seed != 1 && seed != 2 {
				t.Fatalf("power lost after %q, way %d: %d is there; %v, %v", op, luck, seed, err, rerr)
			}
			if text, err := os.ReadFile(filepath.Join(image, "run.yaml")); err != nil || string(text) != "old text" && string(text) != "new" {
				t.Fatalf("power lost after %q, way %d: run.yaml holds %q, %v", op, luck, text, err)
			}
		}
	}
	if err := d.ReplaceDir(dir, seeded(t, 2)); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	durable(2, "new")
	if err := d.WriteDir(filepath.Join(top, "a", "b"), seeded(t, 3)); err != nil {
		t.Fatal(err)
	}
	image := scratch(t)
	rec.disk.crash(t, image, rng, 0)
	if _, err := os.Stat(filepath.Join(image, "a", "b", weightsFile)); err != nil {
		t.Errorf("a directory in new directories: %v", err)
	}
}
