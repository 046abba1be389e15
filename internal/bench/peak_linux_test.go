package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime/debug"
	"testing"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// peak is what a child process says: bytes planned, and resident at the peak beyond what
// the process had before.
type peak struct{ Planned, Resident int64 }

// TestPlansHold: what doctor plans for each task is within 5 % of what a process of its own
// takes at the peak.
func TestPlansHold(t *testing.T) {
	if name := os.Getenv("ECOSPA_TEST_TASK"); name != "" {
		p, err := take(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(os.Stderr).Encode(p); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, task := range Tasks {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPlansHold$")
		cmd.Env = append(os.Environ(), "ECOSPA_TEST_TASK="+task.Name)
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var p peak
		bad := json.NewDecoder(out).Decode(&p)
		if err := cmd.Wait(); err != nil || bad != nil {
			t.Fatalf("%s: %v, %v", task.Name, err, bad)
		}
		t.Logf("%s: %d bytes planned, %d resident", task.Name, p.Planned, p.Resident)
		if d := p.Resident - p.Planned; d > p.Planned/20 || -d > p.Planned/20 {
			t.Errorf("%s: %d bytes are planned, %d are resident at the peak", task.Name, p.Planned, p.Resident)
		}
	}
}

// take does a task in this process.
func take(name string) (p peak, err error) {
	const size, tokens = "llama-60m", 64
	m, err := model.New(model.Sizes{Name: size, Context: tokens})
	if err != nil {
		return p, err
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return p, err
	}
	var task Manner
	for _, w := range Tasks {
		if w.Name == name {
			task = w
		}
	}
	run, err := (&Machine{Batch: 1}).manner(task, m)
	if err != nil {
		return p, err
	}
	if p.Planned, err = planTask(name, run, m, set); err != nil {
		return p, err
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	debug.FreeOSMemory()
	sysmem.ForgetPeak()
	before, _ := sysmem.Resident()
	set.Weights = set.NewSlab()
	if err := set.InitAs(1, run.Train.DType()); err != nil {
		return p, err
	}
	defer func() {
		_, top := sysmem.Resident()
		p.Resident = top - before
	}()
	switch name {
	case "eval":
		err = evaluate(m, set, pool, tokens)
	case "evidence":
		err = gates(m, set, pool, tokens)
	default:
		l := train.NewLoop(run.Train, run.Optim.Resolve(1), m, set, pool, NewNoise(m, 1, tokens))
		defer l.Close()
		if run.LoRA.Enabled() {
			a, err := train.NewAdapters(set, run.LoRA, 1)
			if err != nil {
				return p, err
			}
			l.Adapt(a)
		}
		err = l.Run(context.Background())
	}
	return p, err
}

func evaluate(m model.Model, set *param.Set, pool *kernel.Pool, tokens int) error {
	e, err := train.NewEvaluator(m, set, pool, 1, tokens, false)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Run(func(yield func(data.Batch, error) bool) { yield(NewNoise(m, 1, tokens).Batch(), nil) })
	return err
}

// gates runs a pass that gathers gate gradients.
func gates(m model.Model, set *param.Set, pool *kernel.Pool, tokens int) error {
	e := coupled.NewEvidence(set, coupled.Options{})
	defer e.Close()
	b := graph.NewBuilder(set, graph.BuildOptions{Gates: true})
	m.Loss(b, 1, tokens, 0)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool, Taps: true, Recompute: graph.RecomputeLayer})
	if err != nil {
		return err
	}
	defer mc.Close()
	if err := NewNoise(m, 1, tokens).Batch().Feed(mc, 1); err != nil {
		return err
	}
	return mc.RunAll()
}
