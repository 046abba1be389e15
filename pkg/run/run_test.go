package run

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// TestMain keeps caches of the tests out of the user's.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ecospa-run-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// tiny is a run file of a run that takes a fraction of a second.
func tiny(t testing.TB, out string, more ...string) config.Run {
	t.Helper()
	c, err := config.Load("../../configs/quickstart.yaml", append([]string{
		"train.steps=10", "train.batch=2", "train.context=16", "train.eval_every=1000", "train.sample=0", "train.threads=1",
		"data.bytes=20KB", "tokenizer.train=bytes", "model.layers=1", "model.width=16", "model.heads=2", "model.kv_heads=1", "model.ffn=16",
		"prune.events=2", "optim.warm_up=2", "out=" + out,
	}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// journal keeps what a run tells.
type journal struct {
	mu     sync.Mutex
	events []Event
}

func (l *journal) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// String is the events as lines, but for steps.
func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, e := range l.events {
		if _, ok := e.(Stepped); !ok {
			b.WriteString(e.String() + "\n")
		}
	}
	return b.String()
}

// told are the events of one type.
func told[E Event](l *journal) (out []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e, ok := e.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

// trained starts and trains a run, and returns what it told.
func trained(t testing.TB, c config.Run, o Options) (*journal, error) {
	t.Helper()
	return trainedUntil(t.Context(), c, o)
}

func trainedUntil(ctx context.Context, c config.Run, o Options) (*journal, error) {
	l := new(journal)
	o.Notify = l.add
	j, err := Start(ctx, c, o)
	if err != nil {
		return l, err
	}
	defer j.Close()
	_, err = j.Train(ctx)
	return l, err
}

// resumed is the run of a directory, gone on with.
func resumed(t testing.TB, dir string, o Options) (*journal, error) {
	t.Helper()
	c, err := Config(dir)
	if err != nil {
		t.Fatal(err)
	}
	o.Mode = Continue
	return trained(t, c, o)
}

// sound opens the newest good checkpoint as a resumed run would, and returns its step.
func sound(t testing.TB, dir string) int {
	t.Helper()
	j := new(Job)
	good, err := checkpoint.Newest(dir, func(root *os.Root) error {
		_, err := j.open(root)
		return err
	}, func(dir string, err error) { t.Errorf("%s is damaged: %v", dir, err) })
	if err != nil {
		t.Error(err)
	}
	return good.Step
}

// metrics reads metrics.jsonl.
func metrics(t testing.TB, dir string) []map[string]any {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		var l map[string]any
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("metrics.jsonl: %v", err)
		}
		lines = append(lines, l)
	}
	return lines
}

// sameRun compares the model and the metrics, without times, of two runs.
func sameRun(t *testing.T, whole, dir string) {
	t.Helper()
	a, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("model.safetensors differs from that of the uninterrupted run (%v)", err)
	}
	la, lb := metrics(t, whole), metrics(t, dir)
	if len(la) != len(lb) {
		t.Fatalf("%d lines of metrics, expected %d", len(lb), len(la))
	}
	for i := range la {
		for _, key := range []string{"step", "loss", "lr", "grad_norm", "params", "tokens", "val_loss", "pruned"} {
			if la[i][key] != lb[i][key] {
				t.Fatalf("line %d: %s is %v, expected %v", i+1, key, lb[i][key], la[i][key])
			}
		}
	}
}

// scratch is a directory in memory where the system has one.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ecospa-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// samePlans compares the plans of the pruning events.
func samePlans(t *testing.T, whole, dir string) {
	t.Helper()
	plans, err := filepath.Glob(filepath.Join(whole, "plans", "*.json"))
	if err != nil || len(plans) == 0 {
		t.Fatalf("plans %v (%v)", plans, err)
	}
	for _, plan := range plans {
		a, erra := os.ReadFile(plan)
		b, errb := os.ReadFile(filepath.Join(dir, "plans", filepath.Base(plan)))
		if erra != nil || errb != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs (%v, %v)", filepath.Base(plan), erra, errb)
		}
	}
}
