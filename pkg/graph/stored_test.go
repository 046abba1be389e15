package graph

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// storedModel is a small model whose matrices can be stored in any type.
func storedModel(t *testing.T) *param.Set {
	e, f := param.Dim{Size: 64}, param.Dim{Size: 40}
	std := param.Init{Std: 0.2}
	set, err := param.New([]param.Spec{
		{Name: "embed", Role: param.Embed, Layer: param.Outside, Dims: []param.Dim{{Size: 30}, e}, Init: std},
		{Name: "norm", Role: param.Norm2, Dims: []param.Dim{e}, Init: param.Init{Mean: 1}},
		{Name: "up", Role: param.Up, Dims: []param.Dim{f, e}, Init: std},
		{Name: "down", Role: param.Down, Dims: []param.Dim{f, e}, Init: std},
	})
	ok(t, err)
	set.Init(5)
	return set
}

func buildStored(set, adapters *param.Set, train bool) *Builder {
	b := NewBuilder(set, BuildOptions{Train: train})
	if adapters != nil {
		b.Adapt(adapters)
	}
	x := b.Embed(b.IDs("ids", 6), b.Param("embed"))
	h := b.RMSNorm(x, b.Param("norm"), RMSNorm{Eps: 1e-5})
	if adapters != nil {
		h = b.Add(h, b.Linear(h, b.Param("square"), nil))
	}
	h = b.GELU(b.Linear(h, b.Param("up"), nil), true)
	x = b.LinearIn(h, b.Param("down"), nil, x)
	b.Output("x", x)
	b.HeadLoss(LossOperands{X: x, W: b.Param("embed"), Targets: b.IDs("targets", 6), Scale: b.Scalar("scale")}, Head{})
	return b
}

func feedStored(t *testing.T, m *Machine) {
	ok(t, m.SetInts("ids", []int32{3, 0, 29, 7, 7, 12}), m.SetInts("targets", []int32{1, 2, 3, -1, 5, 29}), m.SetFloats("scale", 0.2))
}

// rounded is the model whose float32 weights are what the stored ones stand for.
func rounded(t *testing.T, stored *param.Set) *param.Set {
	set := storedModel(t)
	for _, b := range stored.Blocks {
		switch w, x := b.Stored(stored), set.Block(b.Name).In(set.Weights); b.DType() {
		case param.Q8:
			kernel.FromQ8(x, w.Q8)
		case param.BF16:
			kernel.FromBF16(x, w.BF16)
		}
	}
	return set
}

func TestStoredWeights(t *testing.T) {
	adapters, err := param.New([]param.Spec{{Name: "square", Dims: []param.Dim{{Size: 64}, {Size: 64}}, Init: param.Init{Std: 0.1}}})
	ok(t, err)
	adapters.Init(6)
	for _, dtype := range []param.DType{param.BF16, param.Q8} {
		stored := storedModel(t)
		ok(t, stored.StoreAll(dtype))
		var out, grads [2][]float32
		for i, set := range []*param.Set{rounded(t, stored), stored} {
			m := lowered(t, buildStored(set, nil, false), LowerOptions{})
			feedStored(t, m)
			ok(t, m.RunAll())
			out[i] = append(append([]float32(nil), m.Output("x")...), m.Output("nll")...)

			slab := adapters.NewSlab() // through the frozen weights
			m = lowered(t, buildStored(set, adapters, true), LowerOptions{AdapterGrads: slab})
			feedStored(t, m)
			ok(t, m.RunAll())
			grads[i] = slab.Data
		}
		for what, pair := range map[string][2][]float32{"values": out, "gradients of adapters": grads} {
			size := 0.0
			for i, v := range pair[0] {
				size = max(size, math.Abs(float64(v)))
				if d := math.Abs(float64(v - pair[1][i])); !(d <= 1e-5*max(1, math.Abs(float64(v)))) {
					t.Fatalf("%s: %s differ by %g at %d", dtype, what, d, i)
				}
			}
			if size == 0 {
				t.Errorf("%s: %s are all 0", dtype, what)
			}
		}
	}
}

func TestStoredRefused(t *testing.T) {
	set := storedModel(t)
	ok(t, set.StoreAll(param.Q8))
	_, err := buildStored(set, nil, true).Lower(LowerOptions{Pool: newPool(t), Grads: set.NewSlab()})
	if !errors.Is(err, param.ErrStored) {
		t.Errorf("gradients of weights of 8 bits: %v", err)
	}
	b := NewBuilder(set, BuildOptions{})
	b.Output("y", b.Scale(b.Param("up"), 2))
	if _, err := b.Lower(LowerOptions{Pool: newPool(t)}); !errors.Is(err, param.ErrStored) || !strings.Contains(err.Error(), "Scale reads up as float32") {
		t.Errorf("an operation that reads float32: %v", err)
	}
}
