package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// evaluated is the loss of a model on a few of counting's batches.
func evaluated(t *testing.T, l *Loop, set *param.Set) float64 {
	t.Helper()
	e, err := NewEvaluator(l.Model, set, l.Pool, 8, 16, false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := &counting{batch: 8, context: 16, vocab: 17, at: 1000}
	v, err := e.Run(func(yield func(data.Batch, error) bool) {
		for range 3 {
			if !yield(c.Next()) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Loss
}

// TestAdaptersLearn: with adapters the loss falls while the weights stay to the bit,
// also across a pruning event, and merged they compute the same function.
func TestAdaptersLearn(t *testing.T) {
	for _, family := range []string{"llama", "gpt2"} {
		l := tinyLoop(t, family, config(80))
		a, err := model.NewAdapters(l.Set, model.LoRA{Rank: 4}, 1)
		if err != nil {
			t.Fatal(err)
		}
		l.Adapt(a)
		pc := coupled.DefaultConfig()
		pc.Target, pc.Of, pc.Start, pc.End, pc.Events = "0.7x", "prunable", 0.4, 0.4, 1
		goal, err := pc.Goal(l.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		frozen := slices.Clone(l.Set.Weights.Data)
		var first float64
		p := &Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans")}
		l.Attach(Hook{Name: "test", Step: func(l *Loop) error {
			if l.Step == 1 {
				first = l.Last.Loss
			}
			if l.Step == 30 && !slices.Equal(frozen, l.Set.Weights.Data) {
				t.Errorf("%s: the weights have changed", family)
			}
			return nil
		}})
		l.Attach(p.Hook())
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := l.Memory(); m.Gradients >= m.Weights/2 || m.Moments != 2*m.Gradients {
			t.Errorf("%s: memory of adapters is %+v", family, m)
		}
		if l.Set.Count() >= len(frozen) || l.Last.Loss > 0.9*first {
			t.Errorf("%s: %d parameters, loss %g after %g", family, l.Set.Count(), l.Last.Loss, first)
		}
		for _, q := range a.Set.Params {
			for _, d := range q.Dims {
				if have := l.Set.Dim(d.Name).Size; d.Name != "rank" && d.Name != "" && d.Size != have {
					t.Errorf("%s: adapter %s has %d of %s, the model %d", family, q.Name, d.Size, d.Name, have)
				}
			}
		}
		// The next batch's loss beside the merged model's.
		batch, _ := l.Batches.Next()
		if err := batch.Feed(l.machine, 1/float32(len(batch.IDs))); err != nil {
			t.Fatal(err)
		}
		if err := l.machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		want := float64(l.machine.Output("loss")[0])
		a.Merge(l.Pool, l.Set)
		e, err := NewEvaluator(l.Model, l.Set, l.Pool, 8, 16, false)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Run(func(yield func(data.Batch, error) bool) { yield(batch, nil) })
		e.Close()
		// Products in another order.
		if err != nil || math.Abs(v.Loss-want) > 1e-5*want {
			t.Errorf("%s: merged the loss is %g, with adapters %g (%v)", family, v.Loss, want, err)
		}
	}
}

// TestAdapterGradients are those of finite differences.
func TestAdapterGradients(t *testing.T) {
	for _, family := range []string{"llama", "gpt2"} {
		l := tinyLoop(t, family, config(1))
		a, err := model.NewAdapters(l.Set, model.LoRA{Rank: 3, Alpha: 6}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Set.Weights.Data { // away from the start, at which half of the gradients are 0
			a.Set.Weights.Data[i] += 0.1 * float32(math.Sin(float64(i)))
		}
		for i := range l.Set.Weights.Data {
			l.Set.Weights.Data[i] *= 2
		}
		l.Adapt(a)
		if err := l.Lower(); err != nil {
			t.Fatal(err)
		}
		batch, _ := l.Batches.Next()
		loss := func() float64 {
			clear(l.Grads.Data)
			if err := batch.Feed(l.machine, 1/float32(len(batch.IDs))); err != nil {
				t.Fatal(err)
			}
			if err := l.machine.RunAll(); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, x := range l.machine.Output("nll") {
				sum += float64(x)
			}
			return sum / float64(len(batch.IDs))
		}
		loss()
		grads := slices.Clone(l.Grads.Data)
		for _, p := range a.Set.Params {
			i := p.Offset + p.Size()/3
			const h = 3e-3 // losses have float32's rounding: a smaller step drowns in it
			w := a.Set.Weights.Data
			w0 := w[i]
			w[i] = w0 + h
			up := loss()
			w[i] = w0 - h
			down := loss()
			w[i] = w0
			if got, want := float64(grads[i]), (up-down)/(2*h); math.Abs(got-want) > 2e-2*math.Abs(want)+2e-5 {
				t.Errorf("%s %s: gradient %g, by differences %g", family, p.Name, got, want)
			}
		}
	}
}

// TestTeacher: a student of another size, with no word from the data, comes near its
// teacher; another vocabulary is refused.
func TestTeacher(t *testing.T) {
	teacher := tinyLoop(t, "llama", config(150))
	if err := teacher.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := evaluated(t, teacher, teacher.Set)
	m, err := model.New(model.Sizes{Family: "gpt2", Layers: 1, Width: 24, Heads: 2, FFN: 48, Vocab: 17, Context: 16})
	if err != nil {
		t.Fatal(err)
	}
	l := tinyLoop(t, "llama", config(150))
	l.Model = m
	if l.Set, err = param.New(m.Specs()); err != nil {
		t.Fatal(err)
	}
	l.Set.Init(2)
	student := NewLoop(l.Config, l.Optim, m, l.Set, l.Pool, l.Batches)
	defer student.Close()
	own, err := param.New(teacher.Model.Specs())
	if err != nil {
		t.Fatal(err)
	}
	copy(own.Weights.Data, teacher.Set.Weights.Data)
	if err := student.Learn(Teacher{Model: "DIR", Temperature: 1, Weight: 1}, teacher.Model, own); err != nil {
		t.Fatal(err)
	}
	if err := student.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := evaluated(t, student, student.Set); got > good+0.6 || good > 1.5 {
		t.Errorf("the student's loss is %g, its teacher's %g", got, good)
	}
	if student.Memory().Teacher < 4*int64(own.Count()) {
		t.Errorf("memory of the teacher is %d bytes", student.Memory().Teacher)
	}
	other, err := model.New(model.Sizes{Family: "gpt2", Layers: 1, Width: 24, Heads: 2, FFN: 48, Vocab: 18, Context: 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := student.Learn(Teacher{Model: "DIR"}, other, own); err == nil {
		t.Error("a teacher with another vocabulary was taken")
	}
}
