package model_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
)

// preferences is what scripts/golden_preference.py writes.
type preferences struct {
	Pairs     [][3][]int32
	Reference [][2]float64
	Losses    []struct {
		Name               string
		Beta, Margin, Loss float64
		Norm               float64
		Rewards            [][2]float64
		Grads              map[string][]float32
	}
}

// placed is where the pairs of the golden file lie: two sequences of 9 tokens hold the first
// two, two more the third. column is where they begin, length that of the longer document.
var placed = []struct{ two, column, length int }{{0, 0, 4}, {0, 4, 5}, {1, 0, 8}}

func (p preferences) batch() data.Batch {
	const T, N = 9, 4
	fresh := func(v int32) []int32 {
		out := make([]int32, N*T)
		for i := range out {
			out[i] = v
		}
		return out
	}
	b := data.Batch{N: N, IDs: fresh(0), Targets: fresh(-1), Starts: fresh(T), Positions: fresh(0), Pairs: fresh(-1), Reference: make([]float32, N*T)}
	for i, pair := range p.Pairs {
		for side := range 2 {
			ids := append(append([]int32{}, pair[0]...), pair[1+side]...)
			lo := (2*placed[i].two+side)*T + placed[i].column
			b.Reference[lo] = float32(p.Reference[i][side])
			for k := len(ids) - 1; k < placed[i].length; k++ { // the shorter document is followed by one of which nothing counts
				b.Starts[lo+k], b.Positions[lo+k] = int32(placed[i].column+len(ids)-1), int32(k-len(ids)+1)
			}
			for k := range ids[:len(ids)-1] {
				b.IDs[lo+k], b.Starts[lo+k], b.Positions[lo+k] = ids[k], int32(placed[i].column), int32(k)
				if k+1 >= len(pair[0]) {
					b.Targets[lo+k], b.Pairs[lo+k] = ids[k+1], int32(placed[i].column)
				}
			}
		}
	}
	return b
}

// TestPreferenceGolden compares DPO and SimPO on packed pairs with what PyTorch makes of each
// document by itself: loss, rewards, gradients.
func TestPreferenceGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/preference.json")
	if err != nil {
		t.Fatal(err)
	}
	var p preferences
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	_, config, m, set := openGolden(t, "../../testdata/golden/llama")
	pool := kernel.NewPool(2)
	defer pool.Close()
	if len(p.Losses) != 2 {
		t.Fatalf("%d losses", len(p.Losses))
	}
	for _, want := range p.Losses {
		grads := set.NewSlab()
		b := graph.NewBuilder(set, graph.BuildOptions{Train: true, Documents: true, Preference: &graph.Preference{
			T: 9, Beta: float32(want.Beta), Margin: float32(want.Margin), Mean: want.Name == "simpo",
		}})
		m.Loss(b, 4, 9, 0)
		mc, err := b.Lower(graph.LowerOptions{Pool: pool, Grads: grads})
		if err != nil {
			t.Fatal(err)
		}
		batch := p.batch()
		if batch.Count() != len(p.Pairs) {
			t.Fatalf("%d pairs in the batch", batch.Count())
		}
		for _, err := range []error{batch.Feed(mc, 1/float32(batch.Count())), mc.RunAll()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if loss := float64(mc.Output("loss")[0]); math.Abs(loss-want.Loss) > 2e-6 {
			t.Errorf("%s: loss is %.8f, PyTorch's %.8f", want.Name, loss, want.Loss)
		}
		rewards := mc.Output(graph.RewardsOutput)
		for i, r := range want.Rewards {
			for side := range 2 {
				if got := float64(rewards[(2*placed[i].two+side)*9+placed[i].column]); math.Abs(got-r[side]) > 1e-5*math.Max(1, math.Abs(r[side])) {
					t.Errorf("%s: reward %d of pair %d is %.7f, PyTorch's %.7f", want.Name, side, i, got, r[side])
				}
			}
		}
		if norm := optim.GradNorm(pool, grads); math.Abs(norm-want.Norm) > 1e-5*want.Norm {
			t.Errorf("%s: gradient norm %.7f, PyTorch's %.7f", want.Name, norm, want.Norm)
		}
		got := asTensors(t, config, m, set, grads)
		for name, g := range want.Grads {
			near(t, want.Name+" "+name, got[name], g, 4e-6)
		}
		mc.Close()
		grads.Close()
	}
}
