package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/train"
)

// stopped is a tiny run that failed after four steps, with a checkpoint of the third,
// evidence included.
func stopped(t testing.TB, dir string) config.Run {
	t.Helper()
	c := tiny(t, dir, "train.steps=8", "train.context=8", "data.bytes=4KB", "data.validation=0.2", "model.width=8", "model.ffn=8", "prune.start=0.5", "prune.end=0.9", "checkpoint.every=3")
	o := Options{Before: train.Hook{Name: "stop", Step: func(l *train.Loop) error {
		if l.Step == 4 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}}}
	if _, err := trained(t, c, o); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("the run was not stopped: %v", err)
	}
	c, err := Config(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzState resumes a run from any bytes as its state, two steps far, a pruning
// event among them: an error on one line, or a run that goes on.
func FuzzState(f *testing.F) {
	base := f.TempDir()
	cfg := stopped(f, filepath.Join(base, "run"))
	source := filepath.Join(cfg.Out, "state", "newest")
	good, err := os.ReadFile(filepath.Join(source, checkpoint.TrainerFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, change := range []struct{ from, to string }{
		{`"step": 3`, `"step": 9`}, {`"step": 3`, `"step": -1`}, {`"index": 6`, `"index": 600000`}, {`"epoch": 0`, `"epoch": 1000000000`}, {`"version": 2`, `"version": 1`},
		{`"evidence": true`, `"evidence": false`}, {`"dense":`, `"dense": 0, "x":`}, {`"params": `, `"params": 9`}, {`"events": null`, `"events": [{"step": -5}]`},
	} {
		f.Add(bytes.Replace(good, []byte(change.from), []byte(change.to), 1))
	}
	f.Add([]byte("{}"))
	dir := filepath.Join(base, "copy")
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, checkpoint.TrainerFile), b, 0o644); err != nil {
			t.Fatal(err)
		}
		log := new(journal)
		j := &Job{Options: Options{Notify: log.add, Ranks: Ranks{Group: dist.Alone{}}}, cfg: cfg, previous: cfg, resuming: true}
		defer j.release()
		err := func() error {
			root, err := os.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			st, err := j.open(root)
			if err != nil {
				return err
			}
			st.dir = dir
			if err := j.read(t.Context()); err != nil {
				return err
			}
			if err := j.resolve(st); err != nil {
				return err
			}
			if err := j.assemble(st); err != nil {
				return err
			}
			stop := j.loop.Step + 2
			if stop > cfg.Train.Steps { // at its end it would be saved
				return nil
			}
			j.loop.Attach(train.Hook{Name: "stop", Step: func(l *train.Loop) error {
				if l.Step >= stop {
					return io.ErrUnexpectedEOF
				}
				return nil
			}})
			return j.loop.Run(t.Context())
		}()
		if err != nil && strings.Contains(oneLine(err), "goroutine") || len(log.String()) > 1<<20 {
			t.Errorf("error %v, log of %d bytes", err, len(log.String()))
		}
	})
}

// FuzzModelDirectory opens a model whose config.json is any bytes beside weights
// that are sound: an error, or a model that fits them.
func FuzzModelDirectory(f *testing.F) {
	base := f.TempDir()
	cfg := stopped(f, filepath.Join(base, "run"))
	dir := filepath.Join(base, "copy")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(cfg.Out, "state", "newest"))); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	var keys map[string]any
	if err := json.Unmarshal(good, &keys); err != nil {
		f.Fatal(err)
	}
	for key := range keys { // each key once with another value
		was := keys[key]
		for _, v := range []any{nil, -1, 0, 3, 1 << 40, 1e300, "x", []int{1}, true} {
			keys[key] = v
			text, err := json.Marshal(keys)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
		keys[key] = was
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		m, set, err := model.Read(root)
		if err != nil {
			return
		}
		defer set.Weights.Close()
		if _, err := m.Config(set); err != nil || set.Count() == 0 {
			t.Errorf("a model of %d parameters that cannot be written: %v", set.Count(), err)
		}
	})
}
