package train

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
)

func TestNonFiniteIsNamed(t *testing.T) {
	for _, c := range []struct {
		param string
		value float64
		want  []string
	}{
		{"layer.1.gate", math.NaN(), []string{"step 1: the weight layer.1.gate is NaN"}},
		{"head", math.Inf(-1), []string{"step 1: the weight head is -Inf"}},
		// Finite weights whose products overflow: where it began is named.
		{"layer.0.gate", 3e38, []string{"step 1: the loss is NaN", "at layer.0."}},
		{"layer.1.o", 3e38, []string{"step 1: the loss is NaN", "at layer.1.o"}},
	} {
		l := tinyLoop(t, "llama", config(3))
		w := l.Set.Param(c.param).Data()
		for i := range w {
			w[i] = float32(c.value)
		}
		before := slices.Clone(l.Opt.Slabs()[0].Slab.Data)
		var bad *NonFiniteError
		err := l.Run(t.Context())
		if !errors.As(err, &bad) || bad.Step != 1 || l.Step != 0 {
			t.Errorf("%s is %g: %v after %d steps, expected an error of step 1", c.param, c.value, err, l.Step)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s is %g: %q does not say %q", c.param, c.value, err, want)
			}
		}
		if !slices.Equal(before, l.Opt.Slabs()[0].Slab.Data) {
			t.Errorf("%s is %g: the optimizer's state changed", c.param, c.value)
		}
	}
}

func TestNonFiniteGradientNamesTheParameter(t *testing.T) {
	l := tinyLoop(t, "gpt2", config(3))
	for i := range l.Set.Params {
		l.Set.Params[i].In(l.Grads)[0] = 1
	}
	l.Set.Param("layer.0.v").In(l.Grads)[1] = float32(math.Inf(1))
	l.Set.Param("embed").In(l.Grads)[1] = float32(math.NaN())
	err := l.finiteGradients(math.NaN())
	if err == nil || err.Error() != "step 1: the gradient of layer.0.v is +Inf" {
		t.Errorf("error %v, expected one that names the parameter nearest to the loss", err)
	}
}

// spoiled makes a weight infinite for some of its batches.
type spoiled struct {
	Batches
	set  func(float32) // the weight; NaN puts it right
	bad  map[int]bool  // numbers of batches, from 1
	read int
}

func (s *spoiled) Next() (data.Batch, error) {
	s.read++
	if s.bad[s.read] {
		s.set(float32(math.Inf(1)))
	} else {
		s.set(float32(math.NaN()))
	}
	return s.Batches.Next()
}

// without leaves out batches altogether.
type without struct {
	Batches
	bad  map[int]bool
	read int
}

func (w *without) Next() (data.Batch, error) {
	for w.read++; w.bad[w.read]; w.read++ {
		if _, err := w.Batches.Next(); err != nil {
			return data.Batch{}, err
		}
	}
	return w.Batches.Next()
}

// TestSkippedBatchLeavesNoTrace: a run that skips batches ends with the bits of
// one that never saw them, its evidence included.
func TestSkippedBatchLeavesNoTrace(t *testing.T) {
	bad := map[int]bool{1: true, 4: true, 5: true, 12: true}
	run := func(wrap func(l *Loop)) (*Loop, []int) {
		c := config(20)
		c.MicroBatch, c.OnNonFinite = 4, Skip
		l := tinyLoop(t, "llama", c)
		pc := coupled.DefaultConfig()
		pc.Target, pc.Of, pc.Start, pc.End, pc.Events = "0.5x", "prunable", 0.3, 0.8, 2
		goal, err := pc.Goal(l.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Attach((&Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans")}).Hook())
		var skipped []int
		l.Skipped = func(e *NonFiniteError) { skipped = append(skipped, e.Step) }
		wrap(l)
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l, skipped
	}
	a, skipped := run(func(l *Loop) {
		w := l.Set.Param("head")
		was := w.Data()[3]
		good := true
		l.Batches = &spoiled{Batches: l.Batches, bad: bad, set: func(x float32) {
			switch now := &l.Set.Param("head").Data()[3]; {
			case nonFinite(float64(x)) && x > 0: // +Inf
				if good {
					was, good = *now, false
				}
				*now = x
			case !good:
				*now, good = was, true
			}
		}}
	})
	b, none := run(func(l *Loop) { l.Batches = &without{Batches: l.Batches, bad: bad} })
	if !slices.Equal(skipped, []int{1, 3, 3, 9}) || none != nil {
		t.Errorf("steps with skipped batches: %v and %v", skipped, none)
	}
	if a.Set.Count() != b.Set.Count() || !slices.Equal(a.Set.Weights.Data, b.Set.Weights.Data) || a.Tokens != b.Tokens {
		t.Error("the skipped batches left a trace in the weights")
	}
}

// TestSkippingEnds: weights that no batch suits end the run.
func TestSkippingEnds(t *testing.T) {
	c := config(20)
	c.OnNonFinite = Skip
	l := tinyLoop(t, "gpt2", c)
	l.Set.Param("layer.1.o").Data()[0] = float32(math.Inf(1))
	n := 0
	l.Skipped = func(*NonFiniteError) { n++ }
	var bad *NonFiniteError
	if err := l.Run(t.Context()); !errors.As(err, &bad) || n != maxSkips {
		t.Errorf("%v after %d skipped batches, expected %d", err, n, maxSkips)
	}
}
