package train

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/internal/dist/disttest"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// weights is all weights as float32.
func weights(set *param.Set) []float32 {
	var out []float32
	for _, b := range set.Blocks {
		w := b.Stored(set)
		x := make([]float32, b.Size())
		if w.BF16 != nil {
			kernel.FromBF16(x, w.BF16)
		} else {
			copy(x, w.F32)
		}
		out = append(out, x...)
	}
	return out
}

// prunes attaches two events to a loop.
func prunes(t *testing.T, l *Loop) {
	t.Helper()
	pc := coupled.DefaultConfig()
	pc.Target, pc.Of, pc.Events, pc.Start, pc.End = "0.5x", "prunable", 2, 0.3, 0.6
	goal, err := pc.Goal(l.Set, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Attach((&Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans")}).Hook())
}

// TestInBackward: updates during the backward pass give the weights of updates after it, to
// the bit, through recomputation and pruning events, whatever the optimizer.
func TestInBackward(t *testing.T) {
	for _, name := range optim.Names() {
		for _, family := range []string{"llama", "gpt2"} {
			run := func(in bool, recompute string) []float32 {
				c := config(12)
				c.Recompute = recompute
				l := tinyLoopBy(t, family, c, func(o *optim.Config) { o.Name, o.InBackward, o.Clip, o.Rank = name, in, 0, 2 })
				prunes(t, l)
				if err := l.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if m := l.Memory(); in && (l.Grads != nil || m.Gradients >= 4*int64(l.Set.Len())) {
					t.Errorf("%s %s: the gradients take %d bytes, weights %d", name, family, m.Gradients, m.Weights)
				}
				return weights(l.Set)
			}
			want := run(false, "none")
			for _, recompute := range []string{"none", "layer"} {
				if !slices.Equal(want, run(true, recompute)) {
					t.Errorf("%s %s, recompute %s: the weights differ", name, family, recompute)
				}
			}
		}
	}
}

// TestInBackwardClips: each block's gradient is scaled by the larger of the last norm and its
// own.
func TestInBackwardClips(t *testing.T) {
	const clip, lr = 0.3, 1e-3
	move := func(clip, last float64) (map[string][]float32, float64) {
		l := tinyLoopBy(t, "llama", config(1), func(o *optim.Config) {
			o.Name, o.InBackward, o.Clip, o.Beta1, o.WeightDecay, o.LR, o.WarmUp, o.Schedule = "sgd", true, clip, 0, 0, lr, optim.Steps(0), "constant"
		})
		before := slices.Clone(l.Set.Weights.Data)
		l.Norm = last
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		out := map[string][]float32{}
		for _, b := range l.Set.Blocks {
			d := slices.Clone(b.In(l.Set.Weights))
			for i := range d {
				d[i] -= before[b.Offset+i]
			}
			out[b.Name] = d
		}
		return out, l.Norm
	}
	raw, norm := move(0, 0)
	if norm < 2*clip {
		t.Fatalf("the gradients' norm is %g: nothing is clipped", norm)
	}
	length := func(x []float32) (s float64) {
		for _, v := range x {
			s += float64(v) * float64(v)
		}
		return math.Sqrt(s)
	}
	long := 0
	for _, last := range []float64{0, 0.5, 5} {
		got, n := move(clip, last)
		if math.Abs(n-norm) > 1e-6*norm {
			t.Errorf("the norm is %g after clipping, %g without", n, norm)
		}
		for name, d := range raw {
			own := length(d) / lr
			want := length(d)
			if top := max(last, own); top > clip {
				want *= clip / top
			}
			if own > clip {
				long++
			}
			if math.Abs(length(got[name])-want) > 1e-6+1e-3*want { // differences of weights are short of bits
				t.Errorf("last norm %g: %s moves by %g, expected %g", last, name, length(got[name]), want)
			}
		}
	}
	if long == 0 {
		t.Error("no block is longer than the clip")
	}
}

// TestBF16Weights: a model of bfloat16 weights learns as one of float32, through pruning
// events, and to the same bits again.
func TestBF16Weights(t *testing.T) {
	run := func(dtype param.DType, name string) (loss float64, w []float32) {
		c := config(80)
		c.Weights = string(dtype)
		l := tinyLoopBy(t, "llama", c, func(o *optim.Config) { o.Name, o.InBackward, o.Rank = name, true, 4 })
		prunes(t, l)
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := l.Set.Block("layer.0.down"); b.DType() != dtype {
			t.Fatalf("down is %s", b.DType())
		}
		if m := l.Memory(); dtype == param.BF16 && m.Weights > 5*4*int64(l.Set.Len())/8 {
			t.Errorf("the weights take %d bytes of %d", m.Weights, 4*l.Set.Len())
		}
		return l.Last.Loss, weights(l.Set)
	}
	for _, name := range []string{"adamw", "apollo"} {
		want, _ := run(param.F32, name)
		got, w := run(param.BF16, name)
		if !(got < want+0.25) || got > 1.6 {
			t.Errorf("%s: the loss is %g, with float32 weights %g", name, got, want)
		}
		if _, again := run(param.BF16, name); !slices.Equal(w, again) {
			t.Errorf("%s: other bits the second time", name)
		}
	}
}

// TestInBackwardOnRanks: two ranks are one process but for the order of sums.
func TestInBackwardOnRanks(t *testing.T) {
	by := func(o *optim.Config) { o.Name, o.InBackward, o.Rank = "apollo", true, 4 }
	one := tinyLoopBy(t, "llama", config(30), by)
	prunes(t, one)
	if err := one.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	loops, errs := make([]*Loop, 2), make([]error, 2)
	for r, g := range disttest.Local(2) {
		loops[r] = tinyLoopBy(t, "llama", config(30), by)
		if err := loops[r].Join(g); err != nil {
			t.Fatal(err)
		}
		prunes(t, loops[r])
	}
	var wait sync.WaitGroup
	for r, l := range loops {
		wait.Go(func() { errs[r] = l.Run(t.Context()) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(loops[0].Set.Weights.Data, loops[1].Set.Weights.Data) {
		t.Error("the ranks' weights differ")
	}
	if a, b := loops[0].Last.Loss, one.Last.Loss; math.Abs(a-b) > 1e-2*b {
		t.Errorf("the loss is %g, in one process %g", a, b)
	}
}

func TestInBackwardRefuses(t *testing.T) {
	for want, edit := range map[string]func(*Config){
		"train.micro_batch":         func(c *Config) { c.MicroBatch = 2 },
		"train.on_nonfinite skip":   func(c *Config) { c.OnNonFinite = Skip },
		"train.weights is q8_0, wh": func(c *Config) { c.Weights = "q8_0" },
	} {
		c := config(2)
		edit(&c)
		l := tinyLoopBy(t, "llama", c, func(o *optim.Config) { o.InBackward = true })
		if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected an error that says %q", err, want)
		}
	}
	c := config(2)
	c.ShardOptimizer, c.Weights = true, "bf16"
	l := tinyLoopBy(t, "llama", c, func(o *optim.Config) { o.InBackward = true })
	if err := l.Join(disttest.Local(2)[0]); err == nil || !strings.Contains(err.Error(), "shard_optimizer") {
		t.Errorf("%v, expected a refusal of shards", err)
	}
}

// TestInBackwardNonFinite: a loss that is not finite is found before anything is changed.
func TestInBackwardNonFinite(t *testing.T) {
	l := tinyLoopBy(t, "llama", config(3), func(o *optim.Config) { o.InBackward = true })
	w := l.Set.Param("layer.1.gate").Data()
	for i := range w {
		w[i] = 3e38
	}
	before := slices.Clone(l.Set.Weights.Data)
	err := l.Run(t.Context())
	var bad *NonFiniteError
	if !errors.As(err, &bad) || bad.Step != 1 || l.Step != 0 || !strings.HasPrefix(err.Error(), "step 1: the loss is NaN") {
		t.Errorf("%v after %d steps", err, l.Step)
	}
	if !slices.Equal(before, l.Set.Weights.Data) || l.Opt.Updates() != 0 {
		t.Error("weights or state changed")
	}
}
