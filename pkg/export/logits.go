package export

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Probe is the fixed input on which a model and its file are compared: token ids,
// or pixels.
type Probe struct {
	IDs    []int32   `json:"ids,omitempty"`    // at most 64, spread over the vocabulary
	Pixels []float32 `json:"pixels,omitempty"` // of two images, normalised
	Shape  []int     `json:"shape"`            // [1, T] of ids, [2, channels, side, side] of pixels
}

// NewProbe makes the probe of a model.
func NewProbe(m model.Model) Probe {
	i := m.Arch().Image
	if i == nil {
		ids := make([]int32, min(64, m.Context()))
		for i := range ids {
			ids[i] = int32((31*i*i + 7*i + 1) % m.Vocab())
		}
		return Probe{IDs: ids, Shape: []int{1, len(ids)}}
	}
	p := Probe{Shape: []int{2, i.Channels, i.Side, i.Side}}
	p.Pixels = make([]float32, 2*i.Size())
	for k := range p.Pixels {
		p.Pixels[k] = float32(math.Sin(0.37*float64(k) + 1e-4*float64(k)*float64(k)))
	}
	return p
}

// Rows is the number of rows of logits: tokens, or images.
func (p Probe) Rows() int { return max(len(p.IDs), p.Shape[0]) }

// Logits runs a model forward: [Rows, V], or one row of classes an image; hidden states
// [Rows, E] of a model without a head.
func Logits(m model.Model, set *param.Set, pool *kernel.Pool, p Probe) ([]float32, error) {
	b := graph.NewBuilder(set, graph.BuildOptions{})
	tokens := p.Shape[1]
	if p.Pixels != nil {
		tokens = m.Context()
	}
	m.Decode(b, p.Shape[0], tokens, true)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return nil, err
	}
	defer mc.Close()
	if p.Pixels != nil {
		err = mc.SetFloats("pixels", p.Pixels...)
	} else {
		err = mc.SetInts("ids", p.IDs)
	}
	if err != nil {
		return nil, err
	}
	if err := mc.RunAll(); err != nil {
		return nil, err
	}
	return append([]float32(nil), mc.Output(answer(m, set))...), nil
}

// answer is the name of what a model's Decode gives.
func answer(m model.Model, set *param.Set) string {
	if w, _ := m.Head(set); w == nil {
		return "hidden"
	}
	return "logits"
}

// Difference compares the logits of a file with those of its model.
type Difference struct {
	Largest  float64 `json:"largest"`  // of |file - model|
	Relative float64 `json:"relative"` // over the model's largest |logit|
	Top      float64 `json:"top"`      // share of positions with the same most likely token
}

// Compare makes the difference; both are [rows, V].
func Compare(got, want []float32, rows int) (Difference, error) {
	if len(got) != len(want) || len(want) == 0 || rows < 1 || len(want)%rows != 0 {
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
