package optim

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestApolloAgainstPyTorch: scripts/golden_apollo.py writes the optimizer a second time.
func TestApolloAgainstPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/apollo.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		First   int                  `json:"first"`
		Weights map[string][]float64 `json:"weights"`
		Steps   []struct{ Grads, Weights map[string][]float64 }
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	e, ffn := param.Dim{Name: "embed", Size: 24}, param.Dim{Name: "ffn", Size: 5}
	set, err := param.New([]param.Spec{
		{Name: "table", Dims: []param.Dim{{Name: "vocab", Size: 6}, e}},
		{Name: "norm", Dims: []param.Dim{e}},
		{Name: "up", Dims: []param.Dim{ffn, e}, Decay: true, Block: "pair"},
		{Name: "down", Dims: []param.Dim{ffn, e}, Decay: true, Block: "pair"},
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	b := &bench{set: set, grads: set.NewSlab(), pool: pool}
	defer func() { set.Close(); b.grads.Close(); pool.Close() }()
	fill := func(into *param.Slab, from map[string][]float64) {
		for _, p := range set.Params {
			for i, x := range from[p.Name] {
				p.In(into)[i] = float32(x)
			}
		}
	}
	fill(set.Weights, golden.Weights)
	c := config("apollo")
	c.Rank, c.Seed = 4, 7
	o := New(set, c)
	defer Close(o)
	o.SetUpdates(golden.First)
	if len(golden.Steps) != 5 {
		t.Fatalf("%d steps, expected 5", len(golden.Steps))
	}
	for _, s := range golden.Steps {
		fill(b.grads, s.Grads)
		o.Update(Step{Pool: pool, Set: set, Grads: b.grads, LR: c.LR, Norm: GradNorm(pool, b.grads)})
		b.equals(t, "apollo", s.Weights, 2e-6)
	}
}

// TestApolloIsSmall: two times rank numbers a row and one a matrix, beside the vectors.
func TestApolloIsSmall(t *testing.T) {
	b := newBench(t)
	c := config("apollo")
	c.Rank = 2
	rows := 11 + 12 + 6 + 10 + 10
	// Blocks begin at multiples of 16: the state of some is padded.
	if got, least := StateBytes(b.set, c)/4, int64(2*2*rows+5+2*7); got < least || got > least+10*16 {
		t.Errorf("%d numbers of state, expected %d and some padding", got, least)
	}
	if n := apolloSlots(b.set, c)[apolloRows1].Layout.Count(); n != 2*rows {
		t.Errorf("%d numbers of rows, expected %d", n, 2*rows)
	}
}

// TestApolloIsPruned: a cut removes the rows of the units' state; then the pruned
// optimizer goes on as one that never knew them.
func TestApolloIsPruned(t *testing.T) {
	b, small := newBench(t), newBench(t)
	c := config("apollo")
	c.Rank, c.Clip = 2, 0
	keep := []int{0, 2, 3, 7}
	cut := param.Cut{"layer.0.ffn": {keep}}
	if err := small.set.Shrink(cut, small.grads); err != nil {
		t.Fatal(err)
	}
	o, s := New(b.set, c), New(small.set, c)
	defer Close(o)
	defer Close(s)
	step := func(pick bool) {
		u := b.draw(c.LR)
		for _, p := range b.set.Params {
			g, to := p.In(b.grads), small.set.Param(p.Name).In(small.grads)
			if len(g) == len(to) {
				copy(to, g)
				continue
			}
			for i, k := range keep {
				copy(to[i*7:][:7], g[k*7:][:7])
			}
		}
		if pick {
			o.Update(u)
		}
		s.Update(Step{Pool: b.pool, Set: small.set, Grads: small.grads, LR: c.LR})
	}
	for range 3 {
		step(true)
	}
	with, own := Cutting(b.set, o.Slabs())
	for _, cutter := range own {
		if err := cutter.Shrink(cut); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.set.Shrink(cut, append(with, b.grads)...); err != nil {
		t.Fatal(err)
	}
	for i := range o.Slabs()[:2] {
		if !slices.Equal(o.Slabs()[i].Slab.Data, s.Slabs()[i].Slab.Data) {
			t.Errorf("%s differs after the cut", o.Slabs()[i].Name)
		}
	}
}

// TestBlockByBlock: blocks in any order, with a gradient of their own, are what Update does.
func TestBlockByBlock(t *testing.T) {
	for _, name := range Names() {
		whole, split := newBench(t), newBench(t)
		c := config(name)
		c.Rank = 2
		o, by := New(whole.set, c), New(split.set, c)
		defer Close(o)
		defer Close(by)
		for range 3 {
			o.Update(whole.draw(0.01))
			u := split.draw(0.01)
			by.Begin()
			blocks := slices.Clone(split.set.Blocks)
			slices.Reverse(blocks)
			grads := u.Grads
			u.Grads = nil
			for _, b := range blocks {
				by.UpdateBlock(u, b, slices.Clone(b.In(grads)))
			}
		}
		if !slices.Equal(whole.set.Weights.Data, split.set.Weights.Data) {
			t.Errorf("%s: the weights differ", name)
		}
	}
}

// TestBF16Weights: every optimizer moves weights that are bfloat16, rounded at random: near
// to what it makes of float32, to the same bits again, and steps far below half a unit
// in the last place are not lost.
func TestBF16Weights(t *testing.T) {
	run := func(name string, stored bool, seed uint64, lr float64) []float32 {
		b := newBench(t)
		if stored {
			if err := b.set.Store(b.set.Block("up"), param.BF16); err != nil {
				t.Fatal(err)
			}
		}
		c := config(name)
		c.Rank, c.Seed, c.WeightDecay = 2, seed, 0
		o := New(b.set, c)
		defer Close(o)
		for range 20 {
			u := b.draw(lr)
			for i := range b.set.Param("up").In(b.grads) {
				b.set.Param("up").In(b.grads)[i] = 1
			}
			o.Update(u)
		}
		out := make([]float32, 70)
		if w := b.set.Block("up").Stored(b.set); stored {
			kernel.FromBF16(out, w.BF16)
		} else {
			copy(out, w.F32)
		}
		return out
	}
	for _, name := range Names() {
		want, got := run(name, false, 1, 1e-4), run(name, true, 1, 1e-4)
		if !slices.Equal(got, run(name, true, 1, 1e-4)) {
			t.Errorf("%s: other bits the second time", name)
		}
		if slices.Equal(got, run(name, true, 2, 1e-4)) {
			t.Errorf("%s: the seed changes nothing", name)
		}
		var moved, asked float64
		start := run(name, false, 1, 1e-12)
		for i := range got {
			if d := math.Abs(float64(got[i] - want[i])); d > 0.03 {
				t.Fatalf("%s: element %d is %g, in float32 %g", name, i, got[i], want[i])
			}
			moved, asked = moved+float64(got[i]-start[i]), asked+float64(want[i]-start[i])
		}
		if math.Abs(moved-asked) > 0.35*math.Abs(asked)+0.02 {
			t.Errorf("%s: weights moved by %g in all, in float32 by %g", name, moved, asked)
		}
	}
}
