package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/config"
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
	if testing.Short() {
		t.Skip("a process for each task")
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

// take does a task in this process: with a small model first, so that the program itself and
// what its kernels work in are there.
func take(name string) (p peak, err error) {
	var task Manner
	for _, w := range Tasks {
		if w.Name == name {
			task = w
		}
	}
	small := model.Sizes{Family: "llama", Layers: 1, Width: 512, Heads: 8, FFN: 1376, Vocab: 2048, Context: tokens}
	if _, err := takeOf(small, task); err != nil {
		return p, err
	}
	return takeOf(model.Sizes{Name: "llama-60m", Context: tokens}, task)
}

const tokens = 128 // of a sequence: what kernels keep for themselves, about 3 MB, is then small beside it

func takeOf(s model.Sizes, task Manner) (p peak, err error) {
	m, err := model.New(s)
	if err != nil {
		return p, err
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		return p, err
	}
	run, err := (&Machine{Batch: 1}).manner(task, m)
	if err != nil {
		return p, err
	}
	if p.Planned, err = planTask(task.Name, run, m, set); err != nil {
		return p, err
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	sysmem.ForgetPeak()
	before, _ := sysmem.Resident()
	for _, q := range set.Params {
		q.Spec.Init = param.Init{Mean: 0.01} // random numbers take longer than what is tested
	}
	set.Weights = set.NewSlab()
	defer set.Close()
	if err := set.InitAs(1, run.Train.DType()); err != nil {
		return p, err
	}
	switch task.Name {
	case "eval":
		err = evaluate(m, set, pool)
	case "evidence":
		err = gates(m, set, pool)
	default:
		err = step(run, m, set, pool)
	}
	_, top := sysmem.Resident()
	p.Resident = top - before
	return p, err
}

// step makes a step of training.
func step(run config.Run, m model.Model, set *param.Set, pool *kernel.Pool) error {
	l := train.NewLoop(run.Train, run.Optim.Resolve(1), m, set, pool, NewNoise(m, 1, tokens))
	defer l.Close()
	if run.LoRA.Enabled() {
		a, err := model.NewAdapters(set, run.LoRA, 1)
		if err != nil {
			return err
		}
		l.Adapt(a)
	}
	return l.Run(context.Background())
}

func evaluate(m model.Model, set *param.Set, pool *kernel.Pool) error {
	e, err := train.NewEvaluator(m, set, pool, 1, tokens, false)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Run(func(yield func(data.Batch, error) bool) { yield(NewNoise(m, 1, tokens).Batch(), nil) })
	return err
}

// gates runs a pass that gathers gate gradients.
func gates(m model.Model, set *param.Set, pool *kernel.Pool) error {
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
