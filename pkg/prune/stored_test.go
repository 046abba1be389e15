package prune

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// storable is calibration data and a model whose rows are whole blocks of Q8, with weights of a
// type; as float32 they are the values that this type has rounded them to.
func storable(t *testing.T, family string, dtype param.DType, keep bool) Calibration {
	t.Helper()
	s := model.Sizes{Family: family, Layers: 3, Width: 64, Heads: 4, HeadDim: 16, FFN: 96, Vocab: 64, Context: 16}
	if family != "gpt2" {
		s.KVHeads = 2
	}
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(1)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 3
	}
	if err := set.StoreAll(dtype); err != nil {
		t.Fatal(err)
	}
	if !keep {
		stored := set
		if set, err = param.New(m.Specs()); err != nil {
			t.Fatal(err)
		}
		for _, p := range stored.Params {
			copy(set.Param(p.Name).Data(), p.Floats(make([]float32, p.Size()), 0, p.Size()))
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	data := Sequences{Context: 16}
	for data.N = 24; len(data.IDs) < data.N*16; {
		data.IDs, data.Targets = append(data.IDs, rng.Int32N(64)), append(data.Targets, rng.Int32N(64))
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	return Calibration{Model: m, Set: set, Pool: pool, Data: data}
}

// TestStoredWeights: a model in bfloat16 or Q8_0 is pruned to what its values as float32 are
// pruned to. What is only cut is the same to the bit; what is changed is rounded to the type.
func TestStoredWeights(t *testing.T) {
	for _, family := range []string{"llama", "gpt2", "qwen3"} {
		for _, dtype := range []param.DType{param.BF16, param.Q8} {
			for name, improve := range map[string]coupled.Improve{
				"cut":    {Basis: coupled.BasisNone, Compensate: coupled.CompensateNone, Ridge: coupled.DefaultRidge},
				"recipe": coupled.DefaultImprove(),
			} {
				var loss [2]float64
				var all [2][]float32
				for i, keep := range []bool{false, true} {
					c := storable(t, family, dtype, keep)
					p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: improve}
					p.Config.Target, p.Config.Of, p.Config.Allocation = "0.6x", "prunable", "auto"
					if name == "recipe" {
						p.Config.Allocation = "uniform" // near ties would fall otherwise after rounding
					}
					r, err := p.Run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, trial, _ := p.split()
					if loss[i], err = lossOf(c, trial); err != nil {
						t.Fatal(err)
					}
					for _, q := range c.Set.Params {
						all[i] = append(all[i], q.Floats(make([]float32, q.Size()), 0, q.Size())...)
					}
					if keep && c.Set.Block("layer.1.o").DType() != dtype {
						t.Errorf("%s: the result is %s", dtype, c.Set.Block("layer.1.o").DType())
					}
					r.Close()
				}
				if name == "cut" && !slices.Equal(all[0], all[1]) {
					t.Errorf("%s %s: the weights that stay differ from those of float32", family, dtype)
				}
				// Changed weights are rounded twice, and units of nearly equal scores may change places.
				if len(all[0]) != len(all[1]) || !(math.Abs(loss[0]-loss[1]) <= 0.05*loss[0]) {
					t.Errorf("%s %s %s: loss %g with %d weights, as float32 %g with %d", family, dtype, name, loss[1], len(all[1]), loss[0], len(all[0]))
				}
			}
		}
	}
}

// TestScoresOfStoredWeights: a criterion that reads weights reads what they stand for.
func TestScoresOfStoredWeights(t *testing.T) {
	for _, criterion := range []string{"magnitude", "activation"} {
		var scores [2]coupled.Scores
		for i, keep := range []bool{false, true} {
			p := &Job{Calibration: storable(t, "llama", param.BF16, keep), Config: coupled.DefaultConfig()}
			p.Config.Criterion = criterion
			var err error
			if scores[i], err = p.Scores(); err != nil {
				t.Fatal(err)
			}
		}
		for dim, lists := range scores[0] {
			for l, units := range lists {
				for u, x := range units {
					if y := scores[1][dim][l][u]; !(x > 0) || math.Abs(x-y) > 1e-4*x {
						t.Fatalf("%s: %s list %d unit %d has %g, as float32 %g", criterion, dim, l, u, y, x)
					}
				}
			}
		}
	}
}
