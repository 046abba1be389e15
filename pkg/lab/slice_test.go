package lab

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// TestSliced: a rotation without slicing computes what the model computed, gains and a tied
// head included; with slicing, what the stream hardly has can be left out at little cost.
func TestSliced(t *testing.T) {
	tied := true
	m, err := model.New(model.Sizes{Family: "llama", Layers: 2, Width: 16, Heads: 4, KVHeads: 2, FFN: 20, Vocab: 31, Context: 16, Tied: &tied})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(3)
	rng := rand.New(rand.NewPCG(3, 3))
	for _, p := range set.Params {
		for i := range p.Data() {
			if p.Data()[i] *= 8; isNorm(p.Role) {
				p.Data()[i] = float32(0.5 + rng.Float64())
			} else if i%16 >= 12 && (p.Role == param.Embed || p.Role == param.O || p.Role == param.Down) {
				p.Data()[i] *= 0.01 // four columns that hardly count
			}
		}
	}
	cal := prune.Sequences{Context: 16}
	cal.N = 6
	for range 6 * 16 {
		cal.IDs, cal.Targets = append(cal.IDs, rng.Int32N(31)), append(cal.Targets, rng.Int32N(31))
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	loss := func(m model.Model, set *param.Set) float64 {
		b := graph.NewBuilder(set, graph.BuildOptions{})
		m.Loss(b, 6, 16, 0)
		machine, err := b.Lower(graph.LowerOptions{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer machine.Close()
		if err := cal.Batch.Feed(machine, 1./96); err != nil {
			t.Fatal(err)
		}
		if err := machine.RunAll(); err != nil {
			t.Fatal(err)
		}
		return float64(machine.Output("loss")[0])
	}
	want := loss(m, set)
	for width, most := range map[int]float64{16: 1e-4, 12: 2e-2} {
		narrow, out, err := sliced(pool, m, set, cal, width)
		if err != nil {
			t.Fatal(err)
		}
		if got := loss(narrow, out); math.Abs(got-want) > most*want {
			t.Errorf("loss with %d of 16 columns is %g, of the model %g", width, got, want)
		}
		if narrow.Arch().Hidden != width || narrow.Scale() != m.Scale() {
			t.Errorf("%d columns and a scale of %g, expected %d and %g", narrow.Arch().Hidden, narrow.Scale(), width, m.Scale())
		}
		out.Close()
	}
}
