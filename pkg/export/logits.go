package export

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Prompt is the fixed prompt on which a model and its file are compared: at most
// 64 ids, spread over the vocabulary.
func Prompt(m model.Model) []int32 {
	ids := make([]int32, min(64, m.Context()))
	for i := range ids {
		ids[i] = int32((31*i*i + 7*i + 1) % m.Vocab())
	}
	return ids
}

// Logits runs a decoder forward: ids [T] to logits [T, V].
func Logits(m model.Model, set *param.Set, pool *kernel.Pool, ids []int32) ([]float32, error) {
	b := graph.NewBuilder(set, graph.BuildOptions{})
	m.Decode(b, nil, 1, len(ids), true)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return nil, err
	}
	defer mc.Close()
	if err := mc.SetInts("ids", ids); err != nil {
		return nil, err
	}
	if err := mc.RunAll(); err != nil {
		return nil, err
	}
	return append([]float32(nil), mc.Output("logits")...), nil
}

// Difference compares the logits of a file with those of its model.
type Difference struct {
	Largest  float64 `json:"largest"`  // of |file - model|
	Relative float64 `json:"relative"` // over the model's largest |logit|
	Top      float64 `json:"top"`      // share of positions with the same most likely token
}

// Compare makes the difference; both are [rows, V].
func Compare(got, want []float32, rows int) (Difference, error) {
	if len(got) != len(want) || rows < 1 || len(want)%rows != 0 {
		return Difference{}, fmt.Errorf("export: the file gives %d logits, the model %d", len(got), len(want))
	}
	d, most, v := Difference{}, 0.0, len(want)/rows
	for i := range want {
		x := math.Abs(float64(got[i]) - float64(want[i]))
		if !(x <= math.MaxFloat32) {
			return d, fmt.Errorf("export: logit %d of the file is %g", i, got[i])
		}
		d.Largest = max(d.Largest, x)
		most = max(most, math.Abs(float64(want[i])))
	}
	for r := range rows {
		if first(got[r*v:(r+1)*v]) == first(want[r*v:(r+1)*v]) {
			d.Top += 1 / float64(rows)
		}
	}
	if most > 0 {
		d.Relative = d.Largest / most
	}
	return d, nil
}

// first is the index of the largest element.
func first(x []float32) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

// Tolerance is the largest relative difference that rounding to a type explains;
// a file beyond it does not hold the model.
func Tolerance(dtype string) float64 {
	if dtype == "F32" {
		return 1e-4
	}
	return 0.25 // the least precise type on an untrained or a tiny model
}
